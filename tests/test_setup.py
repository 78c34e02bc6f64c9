"""``.ci/setup`` beside itself: two at once, in a copy with a stand-in for pip, which takes minutes."""

import os
import shutil
import sys
from pathlib import Path

from tests.processes import ProcessUnderTest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/usr/bin/env bash
case "$*" in
*"pip install"*) echo begin >>steps.txt; while [ ! -f go ]; do sleep .05; done; echo end >>steps.txt ;;
*fcntl*) exec {python} "$@" ;;
esac
"""


def copy_to(folder: Path) -> None:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "setup", folder / ".ci")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)


def setup(folder: Path, name: str = "setup") -> ProcessUnderTest:
    return ProcessUnderTest([str(folder / ".ci" / "setup")], os.environ, folder / f"{name}.log").start()


async def test_two_setups_at_once_wait_for_each_other_and_the_second_finds_it_done(tmp_path: Path) -> None:
    copy_to(tmp_path)
    with setup(tmp_path, "first") as first, setup(tmp_path, "second") as second:
        await first.until((tmp_path / "steps.txt").exists)
        (tmp_path / "go").touch()
        assert {first.wait(), second.wait()} == {0}
    said = first.log() + second.log()
    assert (tmp_path / "steps.txt").read_text() == "begin\nend\n"
    assert said.count("another setup is at work here") <= 1
    assert said.count("setup: done") == 1


async def test_a_setup_that_was_killed_holds_up_no_later_one(tmp_path: Path) -> None:
    copy_to(tmp_path)
    with setup(tmp_path) as killed:
        await killed.until((tmp_path / "steps.txt").exists)
        killed.kill()  # with all that it has started
    (tmp_path / "go").touch()
    with setup(tmp_path) as later:
        assert later.wait() == 0
