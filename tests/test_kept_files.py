"""What git keeps: no file whose name says nothing, no path of a developer's machine, no address of a package index."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "managers"})
# In two parts, so that this file does not hold what it forbids.
FORBIDDEN_TEXT = tuple(
    "".join(parts)
    for parts in (
        ("/wo", "rk/"), ("/ro", "ot/"), ("/tmp", "/v"), ("/fa", "rm/"), ("pypi", ".org"), ("python", "hosted"),
        ("repo1", ".maven"), ("repo", ".maven"), ("registry", ".npmjs"), ("deb", ".debian"),
    )
)  # fmt: skip


def kept_files(root: Path) -> list[Path]:
    """Return what git tracks or would track; without git, every file outside of hidden folders."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=False)
    if listed.returncode == 0:
        return [root / name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()]
    return [p for p in root.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(root).parts)]


def badly_named(root: Path) -> list[str]:
    return [
        f"{path} says nothing by its name"
        for path in (p.relative_to(root) for p in kept_files(root))
        if any(part.split(".")[0] in FORBIDDEN_NAMES for part in path.parts)
    ]


def machine_traces(root: Path) -> list[str]:
    found = []
    for path in kept_files(root):
        text = path.read_bytes().decode(errors="replace")
        found += [f"{path.relative_to(root)} holds {trace!r}" for trace in FORBIDDEN_TEXT if trace in text]
    return found


def test_every_name_says_something() -> None:
    assert badly_named(ROOT) == []


def test_no_trace_of_a_machine_or_an_index_is_kept() -> None:
    assert machine_traces(ROOT) == []


@pytest.mark.parametrize("path", ["media/utils/images.py", "media/helpers.py", "common/README.md"])
def test_a_name_that_says_nothing_is_caught(path: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("")
    assert len(badly_named(tmp_path)) == 1


@pytest.mark.parametrize("trace", FORBIDDEN_TEXT)
def test_a_trace_is_caught(trace: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"see {trace}main")
    assert len(machine_traces(tmp_path)) >= 1
