"""The lock of a data directory and runtime.json."""

import os
import sys
from pathlib import Path

import pytest

from embedded.errors import AlreadyRunningError
from embedded.runtime import Runtime, claim, read_runtime
from tests.processes import ProcessUnderTest

OWNER = """
import sys, time
from pathlib import Path
from embedded.runtime import Runtime, claim
with claim(Path(sys.argv[1])):
    Runtime(kafka="k", milvus="m", pid=1, started_at=0.0).write(Path(sys.argv[1]))
    print("held", flush=True)
    time.sleep(600)
"""


def owner_of(folder: Path) -> ProcessUnderTest:
    command = [sys.executable, "-c", OWNER, str(folder)]
    return ProcessUnderTest(command, os.environ, folder.with_suffix(".log")).start()


async def test_a_directory_held_by_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    with owner_of(tmp_path) as other:
        await other.says("held")
        with (
            pytest.raises(
                AlreadyRunningError, match=rf"already runs on .* as process {other.pid}: stop that one"
            ) as refusal,
            claim(tmp_path),
        ):
            pass
        assert refusal.value.pid == other.pid
        assert read_runtime(tmp_path) == Runtime(kafka="k", milvus="m", pid=1, started_at=0.0)


async def test_what_a_killed_owner_left_behind_neither_locks_nor_counts_as_running(tmp_path: Path) -> None:
    with owner_of(tmp_path) as other:
        await other.says("held")
        other.kill()
        assert (tmp_path / "runtime.json").exists()
        assert read_runtime(tmp_path) is None
    with claim(tmp_path):
        pass


def test_the_file_is_gone_when_the_owner_ends_in_order(tmp_path: Path) -> None:
    with claim(tmp_path):
        Runtime(kafka="k", milvus="m", pid=os.getpid(), started_at=1.0, processes={"stream": 3}).write(
            tmp_path
        )
        assert (tmp_path / "runtime.json").exists()
    assert not (tmp_path / "runtime.json").exists()
    assert read_runtime(tmp_path) is None


def test_a_directory_that_was_never_used_has_nothing_running(tmp_path: Path) -> None:
    assert read_runtime(tmp_path / "none") is None
