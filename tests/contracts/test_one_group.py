"""Processes of this version and of the one landed before work in one group.

What each has written is read by the other. ``test_earlier_versions`` reads theirs; here theirs would read
ours: their schemas and states were written by their own code (``tests.contracts.landed``).
"""

import json
import re
from pathlib import Path

import pytest

from schemas.publish import published
from tests.contracts.compatibility import breaks
from tests.contracts.landed import RUN, asked
from tests.contracts.write_fixtures import states
from trainer.run.folder import MarkerError, RunFolder
from trainer.run.request import Request

HERE = Path(__file__).parent
LANDED = sorted(p.name for p in (HERE / "fixtures").glob("landed-*"))
SCHEMAS = sorted(p for name in LANDED for p in (HERE / "published" / name).glob("*.json"))
# What they do not know they leave out, as all messages are read (``schemas.base``)
IGNORED = re.compile(r".*: the field \w+ is gone")


def stored(name: str, stem: str) -> bytes:
    return (HERE / "fixtures" / name / f"{stem}.json").read_bytes()


def unread(ours: dict[str, object], theirs: dict[str, object]) -> list[str]:
    """Return what of ours a reader of their schema refuses or takes for something else."""
    return [told for told in breaks(ours, theirs) if not IGNORED.fullmatch(told)]


def test_there_is_one_before() -> None:
    assert LANDED


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_what_we_write_is_read_by_the_one_before(file: Path) -> None:
    ours = json.loads(published()[f"schemas/json/{file.name}"])
    assert unread(ours, json.loads(file.read_bytes())) == []


@pytest.mark.parametrize("name", LANDED)
def test_states_of_tables_are_the_same_bytes(name: str) -> None:
    """So each goes on where the other has stopped; another form needs a number that those before refuse."""
    assert json.loads(json.dumps(states())) == json.loads(stored(name, "states"))


@pytest.mark.parametrize("name", LANDED)
def test_a_run_that_was_asked_of_the_one_before_goes_on(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / RUN)
    run.path.mkdir()
    (run.path / "request.json").write_bytes(stored(name, "request"))
    assert run.find("request", Request) == asked()


@pytest.mark.parametrize("name", LANDED)
def test_a_run_that_is_asked_of_us_goes_on_there(name: str) -> None:
    assert unread(Request.model_json_schema(), json.loads(stored(name, "request_schema"))) == []


def test_a_run_that_a_later_version_was_asked_for_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / RUN)
    run.path.mkdir()
    later = json.loads(asked().model_dump_json()) | {"version": 2}
    (run.path / "request.json").write_text(json.dumps(later))
    with pytest.raises(MarkerError) as refused:
        run.find("request", Request)
    assert str(refused.value) == (
        f"request.json of run {RUN} cannot be read by this version: version: Input should be 1"
    )


def test_a_break_that_is_planted_is_found() -> None:
    ours = {"type": "object", "properties": {"state": {"enum": ["new", "old"], "type": "string"}, "more": {}}}
    theirs = {"type": "object", "properties": {"state": {"enum": ["old"], "type": "string"}}}
    assert len(unread(ours, theirs)) == 1
