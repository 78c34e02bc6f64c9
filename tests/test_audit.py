"""``.ci/audit`` with a stand-in for Python: the real one asks the network about every package."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/usr/bin/env bash
case "$*" in
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
*"import pip_audit"*) [ -f installed.txt ] ;;
*"pip install"*) echo "$*" >>installed.txt ;;
*pip_audit*) echo "$*" >>asked.txt; exit "$FOUND" ;;
esac
"""


def audit(folder: Path, *options: str, found: int) -> int:
    environment = {**os.environ, "PYTHON": str(folder / "python"), "FOUND": str(found)}
    return subprocess.run([folder / ".ci" / "audit", *options], env=environment, check=False).returncode


def test_an_audit_asks_about_the_whole_list_and_ends_with_what_was_found(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "audit", tmp_path / ".ci")
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)

    assert audit(tmp_path, found=0) == 0
    assert audit(tmp_path, "--ignore-vuln", "CVE-1", found=1) == 1
    asked = (tmp_path / "asked.txt").read_text().splitlines()
    assert all("--requirement constraints.txt" in line for line in asked)
    assert all("--strict" in line for line in asked), "what could not be asked for is an error"
    assert asked[1].endswith("--ignore-vuln CVE-1")
    assert len((tmp_path / "installed.txt").read_text().splitlines()) == 1, "installed once"


def test_an_audit_is_no_part_of_ci() -> None:
    assert "audit" not in (ROOT / ".ci" / "run").read_text()
    check = (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert "audit" not in check
