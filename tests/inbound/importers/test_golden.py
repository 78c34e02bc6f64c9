"""Every format has golden records: what comes in, and to the letter what becomes of it."""

import copy
import json
import operator
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.records import Record
from commands.import_ import CONVERTERS, judge
from inbound.importers import segment, ubi
from inbound.importers.outcome import Skipped
from inbound.importers.tally import Tally
from inbound.validators import VALIDATORS
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from tests.inbound.importers.lines import convert_lines
from tests.stream.builders import NOW

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    pytest.param(form, case, id=f"{form}: {case['name']}")
    for form in CONVERTERS
    for case in json.loads((GOLDEN / f"{form.replace('-', '_')}.json").read_text())
]
RULES = StreamSettings()


@pytest.mark.parametrize(("form", "case"), CASES)
def test_a_foreign_record_becomes_what_its_golden_record_says(form, case) -> None:
    found = CONVERTERS[form](case["foreign"])
    if isinstance(found, Skipped):
        assert [found.why.value, found.detail] == case["skipped"]
    elif isinstance(found, Rejection):
        assert found.reason.value == case["refused"]
    else:
        assert [{"topic": topic, "body": body} for topic, body in found] == case["ours"]


@pytest.mark.parametrize(("form", "case"), [p for p in CASES if "ours" in p.values[1]])
def test_what_a_golden_record_becomes_passes_intake(form, case) -> None:
    for ours in case["ours"]:
        record = Record(ours["topic"], 0, 0, 0, None, json.dumps(ours["body"]).encode())
        assert not isinstance(VALIDATORS[ours["topic"]](record, NOW, RULES), Rejection)


@pytest.mark.parametrize("form", CONVERTERS)
def test_importing_the_same_record_twice_gives_the_same_event(form) -> None:
    foreign = next(p.values[1]["foreign"] for p in CASES if p.values[0] == form)
    assert CONVERTERS[form](foreign) == CONVERTERS[form](dict(reversed(foreign.items())))


def test_the_base_of_positions_is_the_ordinal_of_the_first_hit() -> None:
    event = {
        "action_name": "click",
        "event_attributes": {"object": {"object_id": "p"}, "position": {"ordinal": 0}},
    }
    assert body_of(ubi.convert_event(event, position_base=0))["event_attributes"]["position"] == {
        "ordinal": 1
    }
    assert "position" not in body_of(ubi.convert_event(event))["event_attributes"]


def test_segment_may_name_products_by_another_property() -> None:
    call = {"type": "track", "event": "Product Clicked", "properties": {"product_id": "p1", "sku": "s-1"}}
    assert body_of(segment.convert(call, product_field="sku"))["items"] == [{"object_id": "s-1"}]


def body_of(records):
    [(_, body)] = records
    return body


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "json_decode"),
        (b"[1]", "not_object"),
        (b"\xff\xfe{}", "undecodable_text"),
        (b"[" * 5000, "json_decode"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused_and_the_next_is_read(line, reason) -> None:
    broken, sound = convert_lines([line, b'{"action_name": "scroll"}'], ubi.convert_event)
    assert broken.result.reason.value == reason
    assert isinstance(sound.result, Skipped)


# Names that converters look at, with values of any shape: what others promise and do not keep.
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["click", "search", "purchase", "p1"])
)
NAMES = sorted(
    {name for p in CASES for name in p.values[1]["foreign"]}
    | {"object", "position", "product", "query", "item_id", "id", "value"}
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("form", CONVERTERS)
def test_no_record_of_any_shape_stops_an_import_or_goes_uncounted(form) -> None:
    known = [p.values[1]["foreign"] for p in CASES if p.values[0] == form]

    @given(st.sampled_from(known), st.dictionaries(st.sampled_from(NAMES), NESTED, max_size=5))
    def holds(foreign, disturbed) -> None:
        tally = Tally()
        found = convert_lines([json.dumps(foreign | disturbed).encode()], CONVERTERS[form])
        sent = list(judge(found, str, NOW, RULES, tally))
        assert tally.lines == tally.imported + tally.skipped.total() + tally.refused.total() == 1
        assert bool(sent) == bool(tally.imported)

    holds()


# Values that a type or a name promises and a record does not keep; "²" is a digit to Python and no number.
SHAPES = (
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    "",
    "²",
    "9" * 5000,
    "\ud800",
    "x" * 3000,
    [],
    [[]],
    [{}],
    [None],
    {},
    {"id": []},
)


def places(value: object) -> Iterator[tuple[object, ...]]:
    """Yield the path of every value in a record, however deep."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, found in inner:
        yield (name,)
        yield from ((name, *rest) for rest in places(found))


@pytest.mark.parametrize(("form", "case"), [(p.values[0], p.values[1]) for p in CASES])
def test_each_value_of_a_record_may_have_any_shape(form, case) -> None:
    for path in places(case["foreign"]):
        for shape in SHAPES:
            record = copy.deepcopy(case["foreign"])
            holder = reduce(operator.getitem, path[:-1], record)
            holder[path[-1]] = shape
            tally = Tally()
            sent = list(
                judge(convert_lines([json.dumps(record).encode()], CONVERTERS[form]), str, NOW, RULES, tally)
            )
            assert tally.lines == tally.imported + tally.skipped.total() + tally.refused.total(), (
                path,
                shape,
            )
            assert bool(sent) == bool(tally.imported)
