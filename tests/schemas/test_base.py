"""Timestamps and ids, in the forms in which shops send them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Fact, Id, Message, Timestamp
from schemas.releases import DeploymentCommand, LivePointer, Release, RolledBack, SearcherReport
from schemas.training import Decision, TrainingRun, Trigger

TIMESTAMP: TypeAdapter[datetime] = TypeAdapter(Timestamp)
ID: TypeAdapter[str] = TypeAdapter(Id)
MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


class Example(Message):
    at: Timestamp
    note: str | None = None


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000], ids=["s", "ms", "us", "ns"])
@pytest.mark.parametrize("form", [int, float, lambda n: str(int(n))], ids=["int", "float", "digits"])
def test_the_unit_of_an_epoch_number_is_read_from_its_magnitude(unit: int, form: type) -> None:
    assert TIMESTAMP.validate_python(form(MOMENT.timestamp() * unit)) == MOMENT


@given(st.integers(min_value=100_000_000, max_value=99_999_999_999))
def test_every_second_from_1973_to_5138_reads_the_same_in_all_units(seconds: int) -> None:
    expected = datetime.fromtimestamp(seconds, UTC)
    assert [TIMESTAMP.validate_python(seconds * unit) for unit in (1, 10**3, 10**6)] == [expected] * 3


def test_iso_text_keeps_its_zone_and_naive_text_stays_naive() -> None:
    assert TIMESTAMP.validate_python("2024-05-06T09:08:09+02:00") == MOMENT
    assert TIMESTAMP.validate_python("2024-05-06T07:08:09").tzinfo is None


@pytest.mark.parametrize(
    "value",
    [True, "yesterday", "", "--5", "9" * 400, "9" * 5000, 1e300, float("inf"), float("nan"), None, []],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TIMESTAMP.validate_python(value)


def test_a_timestamp_is_written_in_utc_with_milliseconds_and_reads_back() -> None:
    example = Example(at=MOMENT + timedelta(microseconds=123_456))
    assert example.to_json() == b'{"at":"2024-05-06T07:08:09.123Z"}'
    assert Example.from_json(example.to_json()).at == MOMENT + timedelta(milliseconds=123)


@pytest.mark.parametrize(
    ("value", "text"), [(42, "42"), (-1, "-1"), ("0042", "0042"), ("ä/b c", "ä/b c"), ("x" * 256, "x" * 256)]
)
def test_an_id_is_text_and_an_integer_its_decimal_text(value: object, text: str) -> None:
    assert ID.validate_python(value) == text


@pytest.mark.parametrize(
    "value", ["", "x" * 257, "a\tb", "a\n", "a\x00", "a\x7f", True, 1.5, None, [], b"\xff"]
)
def test_what_is_no_id_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        ID.validate_python(value)


def test_unknown_fields_are_ignored_so_that_producers_may_run_ahead() -> None:
    assert Example.from_json(b'{"at": 1715000000, "later": {"x": 1}}').at.year == 2024


def test_messages_are_values_and_do_not_change() -> None:
    assert issubclass(Fact, Message)
    with pytest.raises(ValidationError, match="frozen"):
        Example(at=MOMENT).note = "x"  # type: ignore[misc]


RELEASE = {
    "generation": 1,
    "model": "m",
    "model_sha256": "0",
    "dim": 3,
    "collection": "c",
    "state": "released",
}
CONTROLS: list[tuple[type[Message], dict[str, object]]] = [
    (DeploymentCommand, {"command_id": "c", "action": "pause"}),
    (RolledBack, {"actor": "ann", "reason": "slow"}),
    (Release, RELEASE),
    (LivePointer, {"sequence": 1, "live": RELEASE, "cause": "first"}),
    (SearcherReport, {"searcher_id": "s", "sequence": 1, "ready": True}),
    (Trigger, {"trigger_id": "t"}),
    (TrainingRun, {"run_id": "r", "state": "queued"}),
    (Decision, {"decision_id": "d", "verdict": "pass"}),
]


@pytest.mark.parametrize(("kind", "body"), CONTROLS)
def test_a_time_of_what_controls_training_and_deployment_is_utc_where_it_names_no_zone(
    kind: type[Message], body: dict[str, object]
) -> None:
    times = [name for name, field in kind.model_fields.items() if "datetime" in str(field.annotation)]
    assert times
    for text in ("2024-05-06T07:08:09", "2024-05-06T09:08:09+02:00"):
        read = kind.from_json(json.dumps(body | dict.fromkeys(times, text)).encode())
        assert [getattr(read, name) for name in times] == [MOMENT] * len(times)
