import asyncio
import random
from importlib.metadata import version
from types import SimpleNamespace

import faust
import pytest
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from broker.claiming import open_claims
from credit import shopper
from credit.shopper import fence_of, newest_of, shopper_from_bytes
from schemas.connections import KafkaConnection
from schemas.events import Action
from schemas.pairs import Pair
from stream import aggregation
from stream.aggregation import canonical, fold_days
from stream.contiguity import Contiguity
from stream.metrics import UNREADABLE
from stream.recovery import FAUST_VERSION, WRITTEN_FOR, FencedTable, SafeRecovery, SafeTableManager
from tests.stream.builders import act, run, search


class Event(SimpleNamespace):
    """What faust refers to weakly."""


@pytest.fixture
async def app():
    made = faust.App(
        "searchloop-test", broker="kafka://127.0.0.1:1", store="memory://", TableManager=SafeTableManager
    )
    made.finalize()
    return made


@pytest.fixture
async def table(app):
    async with open_claims(KafkaConnection(kafka="127.0.0.1:1")) as claims:
        topic = app.topic("numbers", key_type=bytes, value_type=bytes, partitions=4)
        yield FencedTable(
            app,
            name="numbers",
            partitions=4,
            changelog_topic=topic,
            readable=bytes.isdigit,
            supersedes=lambda new, old: int(new) >= int(old),
            claims=claims,
            names=lambda value: [value[n : n + 1] for n in range(len(value))],
        )


async def test_restoring_keeps_what_supersedes_and_leaves_nothing_to_write(table):
    for offset, (key, value) in enumerate(
        [(b"a", b"1"), (b"b", b"7"), (b"a", b"3"), (b"a", b"2"), (b"b", b"7")]
    ):
        table.restore(1, offset, key, value)
    assert (table.read(b"a"), table.read(b"b"), table.read(b"c")) == (b"3", b"7", None)
    assert (table.next_offset(1), table.next_offset(2)) == (5, 0)
    await table.flush()  # would raise: nothing is claimed


async def test_a_removed_key_is_gone_until_it_is_written_again(table):
    for offset, value in enumerate([b"9", None, b"1"]):
        table.restore(1, offset, b"a", value)
    table.restore(1, 3, b"b", None)  # of a key that compaction has left the removal of alone
    assert (table.read(b"a"), table.read(b"b"), table.keys_of(1)) == (b"1", None, [b"a"])
    table.restore(1, 4, b"a", None)
    assert (table.read(b"a"), table.keys_of(1), table.next_offset(1)) == (None, [], 5)
    table.keep({2})


async def test_what_belongs_to_another_worker_is_forgotten_and_read_again_from_the_beginning(table):
    table.restore(1, 8, b"a", b"1")
    table.restore(2, 9, b"b", b"1")
    table.keep({2})
    assert (table.read(b"a"), table.read(b"b")) == (None, b"1")
    assert (table.next_offset(1), table.next_offset(2)) == (0, 10)
    assert (table.holding(1, b"1"), table.holding(2, b"1")) == ([], [b"b"])
    table.keep(set())
    assert table.holding(2, b"1") == []
    assert table.read(b"b") is None


async def test_garbage_on_a_changelog_is_counted_and_skipped_and_what_was_true_stays(table):
    before = UNREADABLE.labels("numbers")._value.get()
    for offset, (key, value) in enumerate([(b"a", b"3"), (b"a", b"{"), (b"b", b"\xff"), (b"b", b"1")]):
        table.restore(1, offset, key, value)
    assert (table.read(b"a"), table.read(b"b"), table.next_offset(1)) == (b"3", b"1", 4)
    table.restore(2, 7, b"c", b"")
    assert (table.read(b"c"), table.next_offset(2), table.keys_of(2)) == (None, 8, [])
    assert UNREADABLE.labels("numbers")._value.get() == before + 3


async def test_a_key_that_lies_in_two_partitions_stays_in_the_first_and_can_be_given_away(table):
    table.restore(1, 0, b"a", b"1")
    table.restore(2, 5, b"a", b"7")
    table.restore(2, 6, b"a", None)
    assert (table.read(b"a"), table.keys_of(2), table.next_offset(2)) == (b"1", [], 7)
    table._verified_source_topics_for_partitions.add("words")  # of which faust would ask a broker
    # An event that came to the wrong one
    table.write(b"a", b"2", Event(message=SimpleNamespace(topic="words", partition=2)))
    table.keep(set())
    assert (table.read(b"a"), table.holding(1, b"2")) == (None, [])


STATE = run([search("q1", "mug", ["p1"]), act("purchase", "p1", at=1, query_id="q1")])[0].to_bytes()
PAIR = canonical(
    Pair(
        query="mug",
        product_id="p1",
        days={1: {Action.CLICK: (1, 0, 0)}},
        clients={"0" * 16: 1},
        fence={0: (1, 2, 3)},
    )
)


@pytest.mark.parametrize(("kind", "stored"), [(shopper, STATE), (aggregation, PAIR)], ids=["shopper", "pair"])
def test_what_is_called_readable_can_be_read_whatever_it_is(kind, stored):
    dice = random.Random(7)
    assert kind.is_readable(stored)
    readable = 0
    for _ in range(5000):
        at, length = dice.randrange(len(stored)), dice.choice([0, 1, 1, 5])
        value = (
            stored[:at]
            + dice.choice([b"", b'"', b"{", b"0", b"-", b",", b"\n", b"9" * 5000, dice.randbytes(2)])
            + stored[at + length :]
        )
        if kind.is_readable(value):
            readable += 1
            assert kind.supersedes(value, stored) in {True, False}
            assert kind.supersedes(stored, value) in {True, False}
            if kind is shopper:
                assert (shopper_from_bytes(value).newest_ms, fence_of(value)) == (
                    newest_of(value),
                    shopper_from_bytes(value).fence,
                )
            else:
                canonical(fold_days(Pair.from_json(value), 10_000))
                aggregation.clients_in(value)
                aggregation.has_days_to_fold(value, 10_000)
    assert 0 < readable < 5000
    assert [
        kind.is_readable(value) for value in (b"", b"{}", b"1 1\n[]", b"null", b"[" * 5000, b"0" * 5000)
    ] == [False] * 6


async def test_who_stands_in_a_value_is_known_through_writes_removals_and_restoring(table):
    table.restore(1, 0, b"a", b"12")
    table.restore(2, 1, b"b", b"23")
    table._verified_source_topics_for_partitions.add("words")  # of which faust would ask a broker
    at = Event(message=SimpleNamespace(topic="words", partition=1))
    table.write(b"c", b"2", at)
    assert [sorted(table.holding(p, b"2")) for p in (1, 2)] == [[b"a", b"c"], [b"b"]]
    table.write(b"a", b"91", at)
    table.remove(b"c", at)
    table.restore(2, 2, b"b", None)
    assert [table.holding(p, b"2") for p in (1, 2)] == [[], []]
    assert (table.holding(1, b"9"), table.holding(1, b"1")) == ([b"a"], [b"a"])


async def test_a_step_of_recovery_that_takes_too_long_is_a_fault_and_not_a_stop(app):
    recovery = SafeRecovery(app, app.tables)
    with pytest.raises(TimeoutError, match="did not answer"):
        await recovery._wait(asyncio.Event().wait(), timeout=0.05)


def test_the_overrides_of_faust_are_read_again_before_an_upgrade():
    assert FAUST_VERSION == WRITTEN_FOR
    assert version("mode-streaming") == "0.7.1"
    assert version("aiokafka") == "0.14.0"


def test_missing_offsets_are_counted_and_replays_are_not():
    seen = Contiguity()
    seen.begin_at({("events", 0): 5, ("events", 1): None})
    assert seen.missed("events", 0, 5) == 0
    assert seen.missed("events", 0, 8) == 2
    assert seen.missed("events", 0, 6) == 0
    assert seen.missed("events", 0, 9) == 0
    assert seen.missed("events", 1, 77) == 0
    assert seen.missed("events", 1, 79) == 1


def test_what_an_operator_has_skipped_is_not_missing():
    seen = Contiguity(
        {("events", 0, 5), ("events", 0, 7), ("events", 1, 6), ("pairs", 0, 6), ("events", 0, 90)}
    )
    seen.begin_at({("events", 0): 5})
    assert seen.missed("events", 0, 6) == 0
    assert seen.missed("events", 0, 9) == 1
    assert seen.missed("events", 0, 10) == 0


async def test_the_watchdog_looks_only_at_what_is_read(app, table):
    """Faust's own reports a changelog as a stream that stands still, for as long as the process is idle."""
    recovery = app.tables.recovery
    app.tables.add(table)
    await recovery._build_highwaters(app.consumer, set(), {}, "")
    recovery.completed.set()
    app.consumer.verify_event_path(1e9, TP("numbers", 0))
    with pytest.raises(ConsumerNotStarted):  # upstream is asked
        app.consumer.verify_event_path(1e9, TP("events", 0))
    recovery.completed.clear()
    app.consumer.verify_event_path(1e9, TP("events", 0))
