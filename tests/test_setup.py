"""``.ci/setup`` beside itself: two at once, in a copy with a stand-in for pip, which takes minutes."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/usr/bin/env bash
case "$*" in
*"pip install"*) echo begin >>steps.txt; while [ ! -f go ]; do sleep .05; done; echo end >>steps.txt ;;
*fcntl*) exec {python} "$@" ;;
esac
"""


def copied(folder: Path) -> Path:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "setup", folder / ".ci")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    return folder / ".ci" / "setup"


def test_two_setups_at_once_wait_for_each_other_and_the_second_finds_it_done(tmp_path: Path) -> None:
    command = [str(copied(tmp_path))]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second,
    ):
        assert first.stderr is not None
        assert second.stderr is not None
        while not (tmp_path / "steps.txt").exists():
            assert first.poll() is None
        (tmp_path / "go").touch()
        assert {first.wait(120), second.wait(120)} == {0}
        said = first.stderr.read() + second.stderr.read()
    assert (tmp_path / "steps.txt").read_text() == "begin\nend\n"
    assert said.count("another setup is at work here") <= 1
    assert said.count("setup: done") == 1


def test_a_setup_that_was_killed_holds_up_no_later_one(tmp_path: Path) -> None:
    command = [str(copied(tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as killed:
        while not (tmp_path / "steps.txt").exists():
            assert killed.poll() is None
        subprocess.run(["kill", "-9", "--", f"-{killed.pid}"], check=True)
        killed.wait()
    (tmp_path / "go").touch()
    assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=300, check=False).returncode == 0
