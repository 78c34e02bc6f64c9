"""A verb as an operator gives it, but in the test's own process.

For those that load the model, which takes a new process seconds.
"""

import io
import logging
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

import cli


class Done(NamedTuple):
    """How a verb has ended."""

    code: int
    stdout: str
    stderr: str


def given(*arguments: str, **environ: str) -> Done:
    """Run ``searchloop`` with the arguments; ``environ`` are all the settings it finds.

    Not from a running event loop's thread.
    """
    said, complained = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(complained):
        for name in [name for name in os.environ if name.startswith("SEARCHLOOP_")]:
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["searchloop", *arguments])
        kafka_log = logging.getLogger("aiokafka")
        level = kafka_log.level
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            kafka_log.setLevel(level)
    return Done(int(ended.value.code or 0), said.getvalue(), complained.getvalue())
