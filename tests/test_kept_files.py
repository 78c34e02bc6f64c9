"""What git keeps.

No file whose name says nothing, no path of a developer's machine, no address of a package index, no page that
names what is not there.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "managers"})
# In two parts, so that this file does not hold what it forbids.
FORBIDDEN_TEXT = tuple(
    "".join(parts)
    for parts in (
        ("/wo", "rk/"), ("/ro", "ot/"), ("/tmp", "/v"), ("/fa", "rm/"), ("pypi", ".org"),
        ("python", "hosted"), ("repo1", ".maven"), ("repo", ".maven"), ("registry", ".npmjs"),
        ("deb", ".debian"),
    )
)  # fmt: skip

# What stands at the head of a file that was copied from others.
FOREIGN_TEXT = tuple(
    "".join(parts) for parts in (("Copyright", " ("), ("SPDX-License", "-Identifier"), ("@lic", "ense"))
)


def kept_files(root: Path) -> list[Path]:
    """Return what git tracks or would track; without git, every file outside of hidden folders."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        return [
            root / name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()
        ]
    return [
        p
        for p in root.rglob("*")
        if p.is_file() and not any(part.startswith(".") for part in p.relative_to(root).parts)
    ]


def badly_named(root: Path) -> list[str]:
    return [
        f"{path} says nothing by its name"
        for path in (p.relative_to(root) for p in kept_files(root))
        if any(part.split(".")[0] in FORBIDDEN_NAMES for part in path.parts)
    ]


def links(root: Path) -> list[str]:
    """Return the links that git keeps: they lead to what is on one machine only."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-s", "-z"], capture_output=True, check=False
    ).stdout.decode()
    return [entry.split("\t")[1] for entry in listed.split("\0") if entry.startswith("120000")]


def machine_traces(root: Path) -> list[str]:
    found = []
    for path in kept_files(root):
        text = path.read_bytes().decode(errors="replace")
        found += [f"{path.relative_to(root)} holds {trace!r}" for trace in FORBIDDEN_TEXT if trace in text]
    return found


def texts_of_others(root: Path) -> list[str]:
    """Return the files that name a copyright: NOTICE.md says that nothing here is of others."""
    return [
        f"{path.relative_to(root)} holds {mark!r}"
        for path in kept_files(root)
        if path != root / "LICENSE"
        for mark in FOREIGN_TEXT
        if mark in path.read_bytes().decode(errors="replace")
    ]


# What a page names: a file of a folder, or of the root, and perhaps something in it
# (`stream/agent_steps.py:AttributeStep`), or something in the file named last (`:AggregateStep`).
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|[\w.-]+\.(?:py|toml|yml)|(?=:[\w]+`))(?::(\w+))?`")
HISTORY = frozenset({"docs/journal.md"})  # tells what was, by its names of then, like the pages of docs/adr


def dead_references(root: Path) -> list[str]:
    """Return what the pages name and the tree lacks.

    Paths that begin with no folder of the tree are a user's, and may be anything.
    """
    kept = {path.relative_to(root).as_posix() for path in kept_files(root)}
    folders, files = {name.split("/")[0] for name in kept if "/" in name}, {Path(name).name for name in kept}
    pages = {name for name in kept if re.fullmatch(r"(README|CONTRIBUTING|docs/[\w-]+)\.md", name)}
    found = []
    for page in sorted(pages - HISTORY):
        last = ""
        for named, inside in NAMED.findall((root / page).read_text()):
            name = last = named or last
            if "/" in name and name.split("/")[0] not in folders:
                continue
            if name not in (kept if "/" in name else files):
                found.append(f"{page} names {name}")
            elif inside and name in kept and not re.search(rf"\b{inside}\b", (root / name).read_text()):
                found.append(f"{page} names {inside} of {name}")
    return found


def test_every_name_says_something() -> None:
    assert badly_named(ROOT) == []


def test_no_trace_of_a_machine_or_an_index_is_kept() -> None:
    assert machine_traces(ROOT) == []


def test_nothing_of_others_is_kept() -> None:
    assert texts_of_others(ROOT) == []
    assert "It contains no code and no data of others" in (ROOT / "NOTICE.md").read_text()


def test_no_link_is_kept() -> None:
    assert links(ROOT) == []


def test_every_file_that_a_page_names_is_there() -> None:
    assert dead_references(ROOT) == []


def test_how_to_change_answers_many_questions_each_with_a_test() -> None:
    rows = [
        line.split("|")[1:-1]
        for line in (ROOT / "docs" / "how-to-change.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    changes = [row for row in rows if row[0].strip() != "to change"]
    assert len(changes) >= 80
    assert [row[0] for row in changes if len(row) != 5] == []
    assert [row[0] for row in changes if not NAMED.search(row[1])] == []
    assert [row[0] for row in changes if not re.search(r"tests/|make demo|itself", row[2])] == []


def test_decisions_have_one_form_and_stand_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for page in sorted((ROOT / "docs" / "adr").glob("0*.md")):
        lines = page.read_text().splitlines()
        title = re.fullmatch(rf"# {page.name[:4]}\. (.+)", lines[0])
        assert title, f"{page.name} begins with its number and title: # NNNN. Title"
        status = re.fullmatch(r"Status: ((accepted|superseded by \d{4}), 20\d\d-\d\d-\d\d.*)", lines[2])
        assert status, f"the third line of {page.name} is its status"
        assert [line for line in lines if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Alternatives",
            "## Consequences",
        ], page
        assert f"| [{title[1]}]({page.name}) |" in index, f"docs/adr/README.md lists {page.name}"


def test_lines_of_the_pages_fit_beside_a_diff() -> None:
    """Prose of at most 120 columns; tables and examples of code cannot be broken."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "benchmarks" / "RESULTS.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    whole = re.compile(r"\||\s*`[^`]+`\S?$|\S+$")  # a row, a command, an address
    wide = []
    for page in pages:
        prose = re.sub(
            r"^ *```.*?^ *```$",
            lambda m: "\n" * m[0].count("\n"),
            page.read_text(),
            flags=re.MULTILINE | re.DOTALL,
        )
        lines = enumerate(prose.splitlines(), start=1)
        wide += [
            f"{page.relative_to(ROOT)}:{n}" for n, line in lines if len(line) > 120 and not whole.match(line)
        ]
    assert wide == []


@pytest.mark.parametrize(
    "named", ["stream/gone.py", "stream/agent_steps.py:Gone", "stream/agent_steps.py`, `:Gone", "gone.py"]
)
def test_a_page_that_names_what_is_not_there_is_caught(named: str, tmp_path: Path) -> None:
    (tmp_path / "stream").mkdir()
    (tmp_path / "stream" / "agent_steps.py").write_text("class Step: ...\n")
    (tmp_path / "README.md").write_text(f"`{named}`, `stream/agent_steps.py:Step`, `data/mine.jsonl`\n")
    assert len(dead_references(tmp_path)) == 1


@pytest.mark.parametrize("path", ["media/utils/images.py", "media/helpers.py", "common/README.md"])
def test_a_name_that_says_nothing_is_caught(path: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("")
    assert len(badly_named(tmp_path)) == 1


def test_a_link_is_caught(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(tmp_path / "elsewhere")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert links(tmp_path) == [".venv"]


@pytest.mark.parametrize("mark", FOREIGN_TEXT)
def test_a_script_of_others_is_caught(mark: str, tmp_path: Path) -> None:
    (tmp_path / "chart.min.js").write_text(f"/*! {mark} MIT */")
    assert len(texts_of_others(tmp_path)) == 1


@pytest.mark.parametrize("trace", FORBIDDEN_TEXT)
def test_a_trace_is_caught(trace: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"see {trace}main")
    assert len(machine_traces(tmp_path)) >= 1
