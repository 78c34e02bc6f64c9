"""The Dockerfile and what it leaves out: what can be said of an image where nothing builds one.

Each instruction is read; paths that it copies, extras that it names and files that it calls are in the tree.
"""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from embedded.launching import HYGIENE

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORED = (ROOT / ".dockerignore").read_text().split()


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, what follows), in order; a line that ends with a backslash goes on."""
    whole = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", whole).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def stages(text: str) -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, which begins with FROM."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions(text):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def is_left_out(path: str) -> bool:
    """Whether ``.dockerignore`` keeps a path of the root from the builder."""
    return any(fnmatch(path, pattern.removeprefix("**/")) for pattern in IGNORED)


LAST = stages(DOCKERFILE)[-1]


def test_every_stage_stands_on_one_base_of_an_exact_version() -> None:
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"python:3\.11\.[0-9]+-slim-bookworm(@sha256:[0-9a-f]{64})?", base[1])
    assert {rest.split()[0] for word, rest in instructions(DOCKERFILE) if word == "FROM"} == {"${BASE}"}
    assert ":latest" not in DOCKERFILE


def test_the_last_user_is_a_number_that_is_not_roots_and_was_made() -> None:
    users = [rest for word, rest in LAST if word == "USER"]
    assert users
    assert int(users[-1]) > 0
    assert f"--uid {users[-1]} " in DOCKERFILE
    words = [word for word, _ in LAST]
    assert words.index("USER") < words.index("CMD")
    assert "RUN" not in words[words.index("USER") :]


def test_what_is_copied_is_in_the_tree_and_reaches_the_builder() -> None:
    copied = [rest.split() for word, rest in instructions(DOCKERFILE) if word == "COPY"]
    assert copied
    for *sources, _ in (words for words in copied if not words[0].startswith("--from=")):
        for source in sources:
            assert (ROOT / source).exists()
            assert source == "." or not is_left_out(source)
    assert {words[1] for words in copied if words[0] == "--from=build"} == {"/opt/searchloop", "/app"}


@pytest.mark.parametrize(
    "path", [".git", ".venv", ".searchloop", ".ci", "tests", "benchmarks", "docs", "build"]
)
def test_what_no_process_needs_is_left_out(path: str) -> None:
    assert is_left_out(path)


@pytest.mark.parametrize(
    "path", sorted({"cli.py", *(n.split(".")[0] for n in PROJECT["tool"]["setuptools"]["packages"])})
)
def test_what_is_shipped_reaches_the_builder(path: str) -> None:
    assert (ROOT / path).exists()
    assert not is_left_out(path)


def test_the_extras_that_it_tells_are_those_of_the_project() -> None:
    told = re.findall(r"^#   (\w+) +\S", DOCKERFILE, re.MULTILINE)
    assert {*told, "dev"} == {*PROJECT["project"]["optional-dependencies"], "dev", "empty"}
    given = re.findall(r"^ARG EXTRAS=(\w*)$", DOCKERFILE, re.MULTILINE)
    assert set(given) == {"all"}


def test_the_step_before_the_libraries_lays_out_every_package(tmp_path: Path) -> None:
    """Run as it stands: setuptools then finds all that pyproject.toml names."""
    step = next(rest for word, rest in instructions(DOCKERFILE) if word == "RUN" and "tomllib" in rest)
    code = re.fullmatch(r'python3\.11 -c "(.*)"', step)
    assert code is not None
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    subprocess.run([sys.executable, "-c", code[1]], cwd=tmp_path, check=True)
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        assert (tmp_path / package.replace(".", "/")).is_dir()
    assert all(
        (tmp_path / f"{module}.py").is_file() for module in PROJECT["tool"]["setuptools"]["py-modules"]
    )
    assert (tmp_path / PROJECT["project"]["readme"]).is_file()


def test_it_gets_what_the_one_machine_mode_gives_its_children() -> None:
    environment = " ".join(rest for word, rest in LAST if word == "ENV").split()
    given = {f"{name}={text}" for name, text in HYGIENE.items()}
    assert given | {"PYTHONDONTWRITEBYTECODE=1"} <= set(environment)


def test_it_is_labelled_and_leaves_its_health_to_who_starts_it() -> None:
    labels = " ".join(rest for word, rest in LAST if word == "LABEL")
    for name in ("title", "description", "licenses", "version", "revision", "base.name"):
        assert f"org.opencontainers.image.{name}=" in labels
    assert f'licenses="{PROJECT["project"]["license"]}"' in labels
    assert f"ARG VERSION={PROJECT['project']['version']}\n" in DOCKERFILE
    assert ("HEALTHCHECK", "NONE") in LAST
