"""What an installer starts from: the constraints, the list of packages, CI.

The compose files have tests of their own.
"""

import os
import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, Version]:
    """Return the constraints: normalised name to version. Fails on a line that is not ``name==version``."""
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {normal(m[1]): Version(m[2]) for m in found if m}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_to_a_version_that_the_project_admits() -> None:
    pinned = pins()
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = map(Requirement, chain(PROJECT["project"]["dependencies"], *extras))
    for requirement in (one for one in wanted if one.name != "searchloop"):
        assert requirement.specifier.contains(pinned[normal(requirement.name)]), requirement


def test_every_package_of_the_tree_is_installed() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    present = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in ROOT.glob("[a-z]*/**/__init__.py")
        if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks", "build"}
    }
    assert listed == present


def test_ci_is_executable_and_runs_what_a_developer_runs() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert os.access(ROOT / ".ci" / "setup", os.X_OK)
    script = (ROOT / ".ci" / "run").read_text()
    assert [line for line in script.splitlines() if line.startswith("make ")] == [
        "make setup",
        "make check",
        "make test",
    ]
