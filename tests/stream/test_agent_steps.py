"""A step on a table in memory: what it writes, and where, before a broker is there."""

import asyncio
import itertools
from datetime import timedelta

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError
from msgspec.structs import replace

from broker.records import partition_of
from credit.attribution import attribute
from credit.erasure import AFTER_ALL
from credit.shopper import Rules, Shopper
from schemas.batches import unpack
from schemas.bounds import LINE_MINOR, QUANTITY
from schemas.events import Action, Forget
from schemas.pairs import ClientErasure, Contribution, Pair, client_of, pair_key
from schemas.settings import StreamSettings
from stream.agent_steps import AggregateStep, AttributeStep
from stream.contiguity import Contiguity
from stream.sweeping import LOOKED_AT_ONCE
from tests.stream.builders import DAY, HOUR, T0, act, contribution, search
from tests.stream.tables import (
    SETTINGS,
    Log,
    Table,
    all_of_it,
    first_epoch,
    nothing_committed,
    packed,
    record,
)

ANN = client_of("ann")


def by(shopper, event):
    return replace(event, shopper=shopper)


async def test_forgetting_writes_what_is_taken_back_and_then_an_erasure_to_every_partition():
    log = Log()
    step = AttributeStep(Table(), log, SETTINGS, Contiguity(), all_of_it, first_epoch())
    history = [
        search("q1", "mug", ["p1"]),
        act("click", "p1", at=1, query_id="q1"),
        Forget(event_id="f", shopper="ann", at_ms=T0 + 9),
    ]
    await step([record("events", 0, 0, history)])
    by_partition = {
        p: [fact for r in log.sent if r.partition == p for _, fact in unpack(r.value)] for p in range(3)
    }
    for partition, facts in by_partition.items():
        erasure = ClientErasure.from_json(facts[-1])
        assert (erasure.client, erasure.position) == (ANN, (0, 2, AFTER_ALL))
        credits_ = [Contribution.from_json(f).credit for f in facts[:-1]]
        assert credits_ == ([1000, -1000] if partition == partition_of("mug", 3) else [])


async def test_an_erasure_reaches_the_pairs_of_its_own_partition_those_of_the_same_batch_included():
    table, queries = Table(), ["mug", "tea", "lamp", "cup", "red", "blue"]
    step = AggregateStep(table, SETTINGS, Contiguity(), nothing_committed)
    here = partition_of("mug", 3)

    def facts(product, number):
        return [
            (
                partition_of(q, 3),
                contribution(query=q, product=product, client=ANN, day=1, position=(number, n, 0)),
            )
            for n, q in enumerate(queries)
        ]

    for number, product in enumerate(["stored", "fresh"]):
        erasure = (
            [ClientErasure(client=ANN, through_day=1, source=0, position=(5, 0, 0))]
            if product == "fresh"
            else []
        )
        await step(
            [
                record(
                    "contributions",
                    p,
                    number,
                    [f for q, f in facts(product, number) if q == p] + (erasure if p == here else []),
                )
                for p in range(3)
            ]
        )
    for query in queries:
        for product in ("stored", "fresh"):
            key = pair_key(query, product)
            named = ANN in Pair.from_json(table.rows[key]).clients
            assert named == (partition_of(query, 3) != here), (query, product)
            assert table.partitions[key] == partition_of(query, 3)


async def test_erasing_clients_who_have_nothing_looks_at_no_pair():
    table = Table()
    step = AggregateStep(table, SETTINGS, Contiguity(), nothing_committed)
    await step(
        [
            record(
                "contributions",
                0,
                0,
                [contribution(query=f"q{n}", client=ANN, position=(0, n, 0)) for n in range(50)],
            )
        ]
    )
    looks, read, table.holding = [], table.read, lambda _partition, _name: []
    table.read = lambda key: looks.append(key) or read(key)
    wishes = [
        ClientErasure(client=client_of(f"c{n}"), through_day=1, source=0, position=(1, n, 0))
        for n in range(500)
    ]
    await step([record("contributions", 0, 1, wishes)])
    assert looks == []


async def test_a_shopper_of_whom_nothing_is_heard_any_more_is_removed_once_no_replay_can_bring_its_events():
    table, log, committed = Table(), Log(), {0: 1}
    step = AttributeStep(table, log, SETTINGS, Contiguity(), committed.__getitem__, first_epoch())
    early = [search("q1", "mug", ["p1"]), act("click", "p1", at=1, query_id="q1")]
    await step([record("events", 0, 0, [by("cy", event) for event in early])])
    await step([record("events", 0, 1, early)])
    await step([record("events", 0, 2, [by("ben", search("q2", "tea", at=39 * DAY))])])
    assert set(table.rows) == {b"ann", b"ben"}  # cy's only record is committed, ann's is not
    sent = len(log.sent)
    await step([record("events", 0, 1, early)])
    assert len(log.sent) == sent
    committed[0] = 2
    await step([record("events", 0, 3, [by("ben", search("q3", "tea", at=40 * DAY))])])
    assert set(table.rows) == {b"ben"}


async def test_who_is_no_longer_remembered_can_still_be_forgotten():
    table, log = Table(), Log()
    step, counting = (
        AttributeStep(table, log, SETTINGS, Contiguity(), all_of_it, first_epoch()),
        AggregateStep(Table(), SETTINGS, Contiguity(), nothing_committed),
    )
    await step(
        [record("events", 0, 0, [search("q1", "mug", ["p1"]), act("click", "p1", at=1, query_id="q1")])]
    )
    await step([record("events", 0, 1, [by("ben", search("q2", "tea", at=39 * DAY))])])
    assert b"ann" not in table.rows
    await step([record("events", 0, 2, [Forget(event_id="f", shopper="ann", at_ms=T0 + 40 * DAY)])])
    for offset, sent in enumerate(log.sent):
        await counting([packed("contributions", sent.partition, offset, sent.value)])
    pair = Pair.from_json(counting._table.rows[pair_key("mug", "p1")])
    assert (pair.days, pair.clients) == ({}, {})


async def test_old_days_of_a_pair_are_summed_when_time_has_gone_on():
    table = Table()
    step = AggregateStep(table, SETTINGS, Contiguity(), nothing_committed)
    days = [contribution(day=day, position=(day, 0, 0), units=1) for day in range(20_000, 20_400)]
    await step([record("contributions", 1, 0, days)])
    # 20,202 begins a block of 91 days that is not yet old
    single = {day for day in range(20_000, 20_400) if day >= 20_202}
    pair = Pair.from_json(table.rows[pair_key("mug", "p1")])
    assert set(pair.days) == {20_020 + 45 - 91, 20_020 + 45, 20_111 + 45} | single
    assert sum(counts[0] for row in pair.days.values() for counts in row.values()) == 400_000
    written = table.rows[pair_key("mug", "p1")]
    await step([record("contributions", 1, 1, [contribution(query="tea", day=20_401, position=(500, 0, 0))])])
    assert table.rows[pair_key("mug", "p1")] is written
    late = [
        contribution(day=20_001, position=(30_000, 0, 0)),
        contribution(day=20_410, position=(30_000, 0, 1)),
    ]
    await step([record("contributions", 1, 2, late)])
    assert Pair.from_json(table.rows[pair_key("mug", "p1")]).days[19_974][Action.PURCHASE][0] == 21_000


VISITS = st.lists(
    st.tuples(
        st.integers(0, 160),
        st.integers(-48, 2),
        st.sampled_from("ab"),
        st.sampled_from(["visit", "cart", "refund"]),
    ),
    min_size=4,
    max_size=30,
)


@given(VISITS)
@hypothesis.settings(max_examples=200, deadline=None)
def test_removing_silent_shoppers_changes_nothing_that_is_earned(visits):
    """Clock times rise; an event is as late as intake lets it be.

    Beside plain attribution, which removes nobody.
    """
    settings = StreamSettings(
        max_event_age=timedelta(hours=48),
        max_future=timedelta(hours=2),
        purchase_window=timedelta(hours=12),
        partitions=3,
    )
    table, log, history = Table(), Log(), []
    for clock, lag, who, what in sorted(visits):
        at = (clock + lag) * HOUR
        found, bought = (
            search(f"q{clock}", "mug", ["p1", "p2"], at=at),
            act("purchase", "p1", at=at, order="o"),
        )
        events = {
            "visit": [found, act("click", "p1", at=at), bought],
            "cart": [act("add_to_cart", "p2", at=at), found],
        }
        history += [by(who, event) for event in events.get(what, [act("refund", "p1", at=at, order="o")])]
    step, states, expected = (
        AttributeStep(table, log, settings, Contiguity(), all_of_it, first_epoch()),
        {},
        [],
    )
    for offset, event in enumerate(history):
        states[event.shopper], earned = attribute(
            states.get(event.shopper) or Shopper(), event, 0, (offset, 0), Rules.of(settings)
        )
        expected += [c.to_json() for c in earned]
        asyncio.run(step([record("events", 0, offset, [event])]))
    assert sorted(fact for r in log.sent for _, fact in unpack(r.value)) == sorted(expected)


@pytest.mark.parametrize(
    "fact",
    [
        b'{"kind":"tick","at_ms":1,"zz":' + b"[" * 3000,
        b'{"session_id":"\xff","kind":"search"}',
        b"{",
        b'{"kind":"new"}',
    ],
)
async def test_a_fact_that_nobody_can_read_is_skipped(fact):
    table, log = Table(), Log()
    strange = packed("events", 0, 0, fact)
    await AttributeStep(table, log, SETTINGS, Contiguity(), all_of_it, first_epoch())([strange])
    await AggregateStep(table, SETTINGS, Contiguity(), nothing_committed)([strange])
    assert (table.rows, log.sent) == ({}, [])
    with pytest.raises(DecodeError):
        Pair.from_json(fact)


async def test_clean_facts_that_no_intake_writes_earn_nothing_and_move_no_time():
    table, log, day_ms = Table(), Log(), T0 // DAY * DAY
    step = AttributeStep(table, log, SETTINGS, Contiguity(), all_of_it, first_epoch())
    found = search("q1", "mug", ["p1"])
    await step([record("events", 0, 0, [by("cy", found)], at_s=T0 / 1000)])
    strange = [act("refund", "p1", at=2, order="o", units=n) for n in (-1, 0, QUANTITY + 1)]
    strange += [act("purchase", "p1", at=1, order="o", query_id="q1", units=n) for n in (-1, 0, QUANTITY + 1)]
    strange += [act("purchase", "p1", at=3, query_id="q1", price=n) for n in (-1, LINE_MINOR + 1)]
    strange += [
        replace(event, at_ms=T0 + 39 * DAY) for event in (found, Forget(event_id="f", shopper="ann", at_ms=0))
    ]
    await step(
        [
            record("events", 0, 1, strange, at_s=T0 / 1000),
            record("events", 0, 2, [by("ben", found)], at_s=T0 / 1000),
        ]
    )
    assert (set(table.rows), log.sent) == ({b"cy", b"ben"}, [])
    pairs = Table()
    counting = AggregateStep(pairs, SETTINGS, Contiguity(), nothing_committed)
    ahead = contribution(day=day_ms // DAY + 2)
    odd = [
        ahead,
        contribution(day=1, units=QUANTITY + 1),
        replace(contribution(day=1), revenue_minor=-LINE_MINOR - 1),
    ]
    await counting([record("contributions", 0, 0, odd, at_s=day_ms / 1000)])
    assert pairs.rows == {}
    await counting(
        [
            record(
                "contributions",
                0,
                1,
                [replace(ahead, day=ahead.day - 1), contribution(day=-400, query="old")],
                at_s=day_ms / 1000,
            )
        ]
    )
    assert len(pairs.rows) == 2


async def test_many_silent_shoppers_are_removed_some_at_a_time():
    table = Table()
    step = AttributeStep(table, Log(), SETTINGS, Contiguity(), all_of_it, first_epoch())
    await step(
        [
            record(
                "events", 0, 0, [by(f"s{n}", search("q1", "mug", ["p1"])) for n in range(LOOKED_AT_ONCE + 10)]
            )
        ]
    )
    left = [len(table.rows)]
    for offset in range(1, 5):
        await step([record("events", 0, offset, [by("ben", search("q2", "tea", at=39 * DAY))])])
        left.append(len(table.rows))
    assert max(before - after for before, after in itertools.pairwise(left)) <= LOOKED_AT_ONCE
    assert left[-1] == 1
