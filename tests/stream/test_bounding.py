"""A shopper's state is bounded in bytes.

It stays a record that Kafka takes, whatever one client sends and in whatever batches.
"""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from credit.bounding import MAX_SHOWN, cut_shown
from credit.shopper import Shopper, shopper_from_bytes
from schemas.bounds import SEEN_BYTES, SHOPPER_BYTES, SHOWN_BYTES
from schemas.events import Forget
from stream.agent_steps import AttributeStep
from stream.contiguity import Contiguity
from tests.stream.builders import MINUTE, RULES, T0, act, run, search
from tests.stream.tables import SETTINGS, Log, Table, all_of_it, first_epoch, record

# With its key and counters a state must be a record of a broker with Kafka's default.
KAFKA_TAKES = 1_000_000
ROBOT = replace(RULES, max_searches=10_000, max_touches=10_000, max_touches_per_minute=10_000)


def fat_search(n):
    return search(f"q{n}", "mug", [f"{n}-{i}".ljust(256, "x") for i in range(200)], at=n * MINUTE)


def facts_of(state):
    return (state.searches, state.touches, state.lines, state.refunds)


def bytes_of(state):
    return len(
        replace(
            state, fence=(0, 0), newest_ms=0, swept_ms=0, floor_ms=0, evicted=0, late=0, forgotten_ms=0
        ).to_bytes()
    )


HISTORY = [search("q1", "mug", ["p1", "p2"])] + [
    act("click", f"p{n}", at=n * MINUTE, query_id="q1") for n in (1, 2, 3)
]
EMPTY = bytes_of(Shopper()) - len("{}{}{}{}")


def test_at_the_bound_all_is_kept_and_one_byte_beyond_the_oldest_go():
    whole, earned = run(HISTORY)
    size = bytes_of(whole) - EMPTY
    kept, same = run(HISTORY, replace(RULES, max_bytes=size))
    assert (kept, same) == (whole, earned)
    cut, same = run(HISTORY, replace(RULES, max_bytes=size - 1))
    assert same == earned  # what is dropped stays earned
    assert cut.evicted > 0
    assert bytes_of(cut) - EMPTY <= (size - 1) * 3 // 4
    assert [t.product for t in cut.touches.values()] == [f"p{n}" for n in (1, 2, 3)][-len(cut.touches) :]


def test_many_fat_searches_of_one_client_are_a_record_that_kafka_takes():
    state = run([fat_search(n) for n in range(46)])[0]
    assert bytes_of(state) < KAFKA_TAKES
    assert f"q{45}" in state.searches
    assert "q0" not in state.searches
    assert state.evicted == 46 - len(state.searches)


@pytest.mark.parametrize("kind", ["click", "purchase", "refund"])
def test_no_kind_of_fact_makes_a_state_larger(kind):
    events = [
        act(
            kind,
            [f"{n}-{i}".ljust(100, "\U0001f375") for i in range(100)],
            at=n,
            query="\U0001f375" * 1024,
            order=f"o{n}",
        )
        for n in range(30)
    ]
    state = run(events, ROBOT)[0]
    assert bytes_of(state) < KAFKA_TAKES
    assert state.evicted > 0


def test_what_was_dropped_for_room_earns_nothing_a_second_time():
    first = [search("q", "mug", ["p1"]), act("click", "p1", at=1, query_id="q")]
    clicks = [act("click", f"{n}".ljust(200, "x"), at=MINUTE + n, query_id="q") for n in range(4000)]
    state, _ = run([*first, *clicks], ROBOT)
    assert not any(touch.product == "p1" for touch in state.touches.values())
    _, again = run([first[1]], ROBOT, state)
    assert again == []


def test_credit_that_a_search_brings_is_counted_too():
    query = "\U0001f375" * 1024
    products = [f"p{n}" for n in range(150)]
    state, _ = run(
        [
            *(act("click", p, at=n * MINUTE) for n, p in enumerate(products, start=1)),
            search("q", query, products),
        ]
    )
    assert bytes_of(state) < KAFKA_TAKES


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from(["search", "click", "purchase", "refund"]), st.integers(1, 40)
    ),
    min_size=5,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(500, 4000), st.randoms(use_true_random=False))
def test_where_the_state_is_stored_in_between_changes_nothing(events, most, chance):
    rules = replace(RULES, max_bytes=most)
    history = [
        search(f"q{n}", "mug", [f"p{i}" for i in range(size)], at=at * MINUTE)
        if kind == "search"
        else act(kind, f"p{size}", at=at * MINUTE, query_id=f"q{n - 1}", order=f"o{size}", event_id=f"e{n}")
        for n, (at, kind, size) in enumerate(events)
    ]
    whole, earned = run(history, rules)
    state, parts = Shopper(), []
    for event in history:
        state, new = run([event], rules, state)
        parts += new
        if chance.random() < 0.4:
            state = shopper_from_bytes(state.to_bytes())
    assert parts == earned
    assert facts_of(state) == facts_of(whole)
    assert bytes_of(state) - EMPTY <= most


def test_of_one_search_in_many_records_the_smallest_ids_are_remembered_in_any_order():
    shown = [f"{n:03}".ljust(250, "x") for n in range(MAX_SHOWN)]
    parts = [shown[n : n + 100] for n in range(0, MAX_SHOWN, 100)]
    states = []
    for seed in range(3):
        random.Random(seed).shuffle(parts)
        states.append(run([search("q", "mug", part, event_id="s") for part in parts])[0])
    remembered = [set(state.searches["q"].shown) for state in states]
    assert remembered[0] == remembered[1] == remembered[2] == set(shown[: SEEN_BYTES // 250])
    assert len(cut_shown(shown[: SEEN_BYTES // 250])) == SEEN_BYTES // 250
    assert SHOWN_BYTES <= SEEN_BYTES  # what one record shows is never cut


def evictions():
    return REGISTRY.get_sample_value("searchloop_attribute_evictions_total") or 0


async def test_the_step_stores_what_kafka_takes_counts_what_went_and_goes_on():
    table, before = Table(), evictions()
    step = AttributeStep(table, Log(), SETTINGS, Contiguity(), all_of_it, first_epoch())
    await step(
        [
            record("events", 0, offset, [fat_search(2 * offset), fat_search(2 * offset + 1)])
            for offset in range(23)
        ]
    )
    assert len(table.rows[b"ann"]) < KAFKA_TAKES
    assert evictions() > before
    await step(
        [record("events", 0, 23, [act("click", "45-7".ljust(256, "x"), at=46 * MINUTE, query_id="q45")])]
    )
    assert len(step._producer.sent) == 1


async def test_a_state_from_before_the_bound_is_brought_within_it_by_the_next_event():
    table = Table()
    table.rows[b"ann"] = run([fat_search(n) for n in range(46)], replace(RULES, max_bytes=1 << 30))[
        0
    ].to_bytes()
    assert len(table.rows[b"ann"]) > SHOPPER_BYTES
    step = AttributeStep(table, Log(), SETTINGS, Contiguity(), all_of_it, first_epoch())
    await step([record("events", 0, 100, [search("q99", "tea", at=60 * MINUTE)])])
    assert len(table.rows[b"ann"]) < KAFKA_TAKES
    await step([record("events", 0, 101, [Forget(event_id="f", shopper="ann", at_ms=T0 + 61 * MINUTE)])])
    assert len(table.rows[b"ann"]) < 200
