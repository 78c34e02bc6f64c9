"""What every earlier version has written is read, and says the same.

The files come from ``write_fixtures`` and are kept for ever.
"""

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from broker.dead_letters import reason_of
from broker.records import Record
from credit.attribution import attribute
from credit.shopper import Rules, shopper_from_bytes, supersedes
from inbound.validators import VALIDATORS
from operations.event_names import origin
from schemas import events, judged_queries, pairs, products, rejections, releases, rules, search, training
from schemas.base import Message, StreamFact
from schemas.batches import unpack
from schemas.events import read_clean_event
from schemas.settings import StreamSettings
from schemas.topics import TOPICS
from stream.aggregation import aggregate, canonical
from tests.contracts.examples import AT, AT_MS, MESSAGES

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(p.name for p in FIXTURES.iterdir())
MODULES = (events, judged_queries, pairs, products, rejections, releases, rules, search, training)
KINDS = {
    name: kind
    for m in MODULES
    for name, kind in vars(m).items()
    if isinstance(kind, type) and issubclass(kind, Message | StreamFact)
}
# A kind that has another name now: the name of then, and the kind of today.
RENAMED: dict[str, type[Message | StreamFact]] = {}
FILES = [f for v in VERSIONS for f in sorted((FIXTURES / v).glob("*.json")) if f.stem[0].isupper()]


def stored(version, name):
    return json.loads((FIXTURES / version / f"{name}.json").read_text())


def said(fact):
    """Return all that a fact says, as JSON; what it leaves out because it is the default is said too."""
    if isinstance(fact, msgspec.Struct):
        own = (
            {fact.__struct_config__.tag_field: fact.__struct_config__.tag}
            if fact.__struct_config__.tag
            else {}
        )
        return own | {name: said(getattr(fact, name)) for name in fact.__struct_fields__}
    if isinstance(fact, list):
        return [said(part) for part in fact]
    return json.loads(fact.to_json() if isinstance(fact, Message) else msgspec.json.encode(fact))


def lost(before, now, path=""):
    """Return where ``now`` does not say what ``before`` said. What it says beyond that is new."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            x
            for k, v in before.items()
            for x in (lost(v, now[k], f"{path}.{k}") if k in now else [f"{path}.{k} is gone"])
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            x for n, (a, b) in enumerate(zip(before, now, strict=True)) for x in lost(a, b, f"{path}.{n}")
        ]
    return [] if before == now and type(before) is type(now) else [f"{path}: {before!r} became {now!r}"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_a_message_of_an_earlier_version_says_the_same(file):
    kind = RENAMED.get(file.stem) or KINDS[file.stem]
    written = json.loads(file.read_text())
    assert lost(written, said(kind.from_json(kind.from_json(json.dumps(written).encode()).to_json()))) == []


def test_the_loss_of_a_field_of_a_value_and_of_a_type_is_noticed():
    assert lost({"a": 1}, {}) == [".a is gone"]
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}], "new": 1}) == [".a.1.b: 2 became 3"]
    assert lost({"a": 1}, {"a": True}) == [".a: 1 became True"]
    assert lost([1], [1, 2]) == [": [1] became [1, 2]"]


def test_every_topic_and_every_kind_of_fact_has_a_fixture_of_the_newest_version():
    newest = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
    kept = {f.stem for f in FILES if f.parent.name == newest}
    assert {t.value.__name__ for t in TOPICS if t.value} <= kept
    assert {type(m).__name__ for m in MESSAGES} == kept


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clean_event_of_an_earlier_version_is_told_by_its_kind(version):
    for name in ("CleanSearch", "CleanInteraction", "Forget", "Tick"):
        assert type(read_clean_event(json.dumps(stored(version, name)).encode())).__name__ == name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_state_of_a_shopper_goes_on_where_an_earlier_version_left_it(version):
    kept = stored(version, "states")
    state = shopper_from_bytes(kept["shopper"].encode())
    assert (len(state.searches), len(state.touches), len(state.lines), len(state.refunds)) == (1, 3, 2, 1)
    hears = read_clean_event(kept["shopper_hears"].encode())
    after, earned = attribute(state, hears, 1, (9, 0), Rules.of(StreamSettings()))
    assert earned == [pairs.Contribution.from_json(c) for c in kept["shopper_contributes"]] != []
    assert supersedes(after.to_bytes(), kept["shopper"].encode())
    forgotten = shopper_from_bytes(kept["forgotten_shopper"].encode())
    assert (forgotten.fence, forgotten.lines) == ((10, 0), {})
    assert forgotten.forgotten_ms == hears.at_ms + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pair_goes_on_where_an_earlier_version_left_it(version):
    kept = stored(version, "states")
    pair = pairs.Pair.from_json(kept["pair"].encode())
    [first, second] = [pairs.Contribution.from_json(raw) for _, raw in unpack(kept["micro_batch"].encode())]
    assert first == second == pairs.Contribution.from_json(kept["pair_hears"].encode())
    assert lost(json.loads(kept["pair_becomes"]), json.loads(canonical(aggregate(pair, first)))) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_producers_of_an_earlier_version_send_becomes_the_same_fact(version):
    for raw in stored(version, "raw"):
        record = Record(raw["topic"], 0, raw["offset"], AT_MS, b"k", json.dumps(raw["body"]).encode())
        clean = VALIDATORS[raw["topic"]](record, AT, StreamSettings())
        assert lost(raw["clean"], said(type(clean).from_json(clean.to_json()))) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dead_letter_of_an_earlier_version_still_says_why_and_from_where(version):
    kept = stored(version, "letter")
    headers = tuple((k, v.encode()) for k, v in kept["headers"])
    letter = Record(kept["topic"], 0, 0, 0, b"k", kept["value"].encode(), headers)
    was = origin(letter)
    assert (was.topic, was.partition, was.offset, reason_of(letter)) == ("interactions", 1, 7, "json_decode")
