"""``.ci/setup`` beside itself: two at once, in a copy with stand-ins for pip and uv, which take minutes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ProcessUnderTest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/usr/bin/env bash
case "$*" in
*"pip config list") cat config.txt 2>/dev/null || true ;;
*" uv" | *" .venv/uv.txt") echo "$*" >>asked_for_uv.txt; cp uv.sh .venv/bin/uv ;;
*"pip install"*)
    echo "$*" >>asked.txt
    echo begin >>steps.txt; while [ ! -f go ]; do sleep .05; done; echo end >>steps.txt
    if [ -f pip.txt ]; then cat pip.txt; exit 1; fi ;;
*fcntl* | *json*) exec {python} "$@" ;;
esac
"""
UV = """#!/usr/bin/env bash
[ "$1" = --version ] || echo "$SSL_CERT_FILE $UV_FIND_LINKS $*" >>asked_uv.txt
[ "$1" = --version ] || [ ! -f uv_fails ] || { echo "no such luck"; exit 1; }
"""


def copy_to(folder: Path) -> None:
    (folder / ".ci").mkdir()
    for name in ("setup", "lock"):
        shutil.copy(ROOT / ".ci" / name, folder / ".ci")
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


async def test_a_lock_is_installed_by_its_hashes_and_the_project_after_it(tmp_path: Path) -> None:
    copy_to(tmp_path)
    lock_for(tmp_path)
    (tmp_path / "go").touch()
    with setup(tmp_path) as locked:
        assert locked.wait() == 0
    packages, project = (tmp_path / "asked.txt").read_text().splitlines()
    assert "--require-hashes --no-deps --only-binary :all: -r requirements.lock" in packages
    assert project.endswith("--no-deps --no-build-isolation -e .")
    with setup(tmp_path, "again") as again:
        assert again.wait() == 0
    assert len((tmp_path / "asked.txt").read_text().splitlines()) == 2, "done for this very lock"


async def test_a_lock_for_other_constraints_is_refused(tmp_path: Path) -> None:
    copy_to(tmp_path)
    lock_for(tmp_path)
    with (tmp_path / "constraints.txt").open("a") as constraints:
        constraints.write("new==1\n")
    with setup(tmp_path) as stale:
        assert stale.wait() == 1
    assert "requirements.lock was made for another pyproject.toml or constraints.txt" in stale.log()
    assert not (tmp_path / "asked.txt").exists()


async def test_uv_installs_where_there_is_one_with_what_pip_is_configured_with(tmp_path: Path) -> None:
    copy_to(tmp_path)
    with_uv(tmp_path)
    (tmp_path / "config.txt").write_text(":env:.find-links='/one /two'\nglobal.cert='/an authority'\n")
    with setup(tmp_path) as done:
        assert done.wait() == 0
    asked = (tmp_path / "asked_uv.txt").read_text()
    assert asked.startswith("/an authority /one,/two pip install --python .venv/bin/python ")
    assert asked.endswith("-c constraints.txt -e .[dev]\n")
    assert not (tmp_path / "asked.txt").exists()


async def test_uv_takes_a_lock_by_its_hashes_too(tmp_path: Path) -> None:
    copy_to(tmp_path)
    lock_for(tmp_path)
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("uv==1 --hash=sha256:cd34\n")
    with_uv(tmp_path)
    with setup(tmp_path) as done:
        assert done.wait() == 0
    packages, project = (tmp_path / "asked_uv.txt").read_text().splitlines()
    assert "--require-hashes --no-deps --only-binary :all: -r requirements.lock" in packages
    assert project.endswith("--no-deps --no-build-isolation -e .")
    assert "--require-hashes" in (tmp_path / "asked_for_uv.txt").read_text()
    assert (tmp_path / ".venv" / "uv.txt").read_text() == "uv==1 --hash=sha256:cd34\n"


@pytest.mark.parametrize("why", ["an index of one's own", "uv fails"])
async def test_pip_installs_where_uv_would_ask_another_index_or_fails(tmp_path: Path, why: str) -> None:
    copy_to(tmp_path)
    with_uv(tmp_path)
    if why == "uv fails":
        (tmp_path / "uv_fails").touch()
    else:
        (tmp_path / "config.txt").write_text("global.cert='/a'\nglobal.index-url='https://pip.example'\n")
    (tmp_path / "go").touch()
    with setup(tmp_path) as done:
        assert done.wait() == 0
    assert (tmp_path / "asked_uv.txt").exists() == (why == "uv fails")
    assert ("no such luck" in done.log()) == (why == "uv fails")
    assert (tmp_path / "asked.txt").read_text().endswith("-c constraints.txt -e .[dev]\n")


async def test_a_file_with_another_hash_is_said_so(tmp_path: Path) -> None:
    copy_to(tmp_path)
    lock_for(tmp_path)
    (tmp_path / "pip.txt").write_text(
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    )
    (tmp_path / "go").touch()
    with setup(tmp_path) as other:
        assert other.wait() == 1
    assert "a file is not the one that requirements.lock names" in other.log()


def with_uv(folder: Path) -> None:
    """Let pip bring a stand-in for uv."""
    (folder / "uv.sh").write_text(UV)
    (folder / "uv.sh").chmod(0o755)


def lock_for(folder: Path) -> None:
    """Write a lock as ``.ci/lock`` does, of one package, with a stand-in for what pip reports."""
    report = {
        "install": [
            {"metadata": {"name": "searchloop", "version": "1"}, "download_info": {"dir_info": {}}},
            {
                "metadata": {"name": "rich", "version": "15.0.0"},
                "download_info": {"archive_info": {"hashes": {"sha256": "ab12"}}},
            },
        ]
    }
    (folder / "build").mkdir()
    (folder / "build" / "lock.json").write_text(json.dumps(report))
    (folder / "go").touch()
    subprocess.run([folder / ".ci" / "lock"], check=True)
    for left in ("go", "steps.txt", "asked.txt"):
        (folder / left).unlink()
    assert (folder / "requirements.lock").read_text().splitlines()[1:] == ["rich==15.0.0 --hash=sha256:ab12"]
