"""Forgetting a shopper: exact for what is remembered, no trace of its hash, the same whatever is replayed."""

import dataclasses
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from credit.attribution import attribute
from credit.erasure import erase_client, forget
from credit.shopper import Rules, Shopper, shopper_from_bytes
from schemas.events import Action, Forget
from schemas.pairs import MAX_CLIENTS, ClientErasure, Pair, client_of, pair_key
from stream.aggregation import aggregate, canonical
from tests.stream.builders import DAY, MINUTE, RULES, T0, act, contribution, fold, search

ANN = client_of("ann")
MUGS = search("q1", "mug", ["p1", "p2"])
CLICK = act("click", "p1", at=MINUTE, query_id="q1")
PURCHASE = act("purchase", ["p1", "p2"], at=2 * MINUTE, query_id="q1", order="o", units=2, price=300)


def wish(shopper="ann", *, at=DAY):
    return Forget(event_id=f"f-{shopper}-{at}", shopper=shopper, at_ms=T0 + at)


def learn(history, rules: Rules = RULES, partition=lambda _: 0):
    """Attribute each event at its place in the log.

    Return the states and all facts of ``contributions`` in order.
    """
    states, facts = {}, []
    for offset, event in enumerate(history):
        before = states.get(event.shopper) or Shopper()
        if isinstance(event, Forget):
            states[event.shopper], new, erasure = forget(
                before, event, partition(event.shopper), (offset, 0), rules
            )
            facts += [*new, erasure]
        else:
            states[event.shopper], new = attribute(
                before, event, partition(event.shopper), (offset, 0), rules
            )
            facts += new
    return states, facts


def count(facts, pairs=None):
    pairs = {} if pairs is None else pairs
    for fact in facts:
        if isinstance(fact, ClientErasure):
            pairs.update({key: erase_client(pair, fact) for key, pair in pairs.items()})
        else:
            key = pair_key(fact.query, fact.product_id)
            pairs[key] = aggregate(pairs.get(key) or Pair(query=fact.query, product_id=fact.product_id), fact)
    return pairs


def bare(pairs):
    """Return what pairs say, without what only counts writes and positions."""
    return {k: canonical(replace(p, fence={}, revision=0)) for k, p in pairs.items() if p.days or p.clients}


def credit_of(pair):
    return sum(counts[0] for row in pair.days.values() for counts in row.values())


def by(shopper, *events):
    return [replace(e, shopper=shopper, event_id=f"{shopper}-{e.event_id}") for e in events]


def test_what_is_remembered_is_taken_back_and_nothing_of_the_shopper_remains():
    states, facts = learn([MUGS, CLICK, PURCHASE, wish()])
    assert bare(count(facts)) == {}
    state = states["ann"]
    assert (state.searches, state.touches, state.lines, state.refunds) == ({}, {}, {}, {})
    assert state.fence == (3, 0)


def test_others_keep_what_they_have_earned():
    others = by("bob", MUGS, CLICK, PURCHASE)
    _, facts = learn([MUGS, *others, CLICK, PURCHASE, wish()])
    assert bare(count(facts)) == bare(count(learn(others)[1]))


def test_a_replay_of_the_request_and_a_second_request_change_nothing():
    states, facts = learn([MUGS, CLICK, *by("bob", MUGS, CLICK), wish()])
    same, nothing, erasure = forget(states["ann"], wish(), 0, states["ann"].fence, RULES)
    assert (same is states["ann"], nothing, erasure) == (True, [], None)
    pairs = count(facts)
    assert count(facts, dict(pairs)) == pairs
    _, nothing, again = forget(states["ann"], wish(at=2 * DAY), 0, (9, 0), RULES)
    assert nothing == []
    assert count([again], dict(pairs)) == pairs


def test_what_is_older_than_the_request_is_late_and_what_is_newer_counts():
    states, facts = learn([MUGS, wish(at=DAY), CLICK, search("q0", "lamp", ["p1"], at=3 * MINUTE), PURCHASE])
    assert states["ann"].late == 3
    assert bare(count(facts)) == {}
    states, facts = learn(
        [wish(at=0), search("q2", "tea", ["p1"], at=DAY), act("click", "p1", at=DAY + 1, query_id="q2")]
    )
    assert list(bare(count(facts))) == [b"tea\tp1"]


def test_the_stored_form_remembers_that_it_has_forgotten_and_one_from_before_that_has_not():
    state = learn([MUGS, CLICK, wish()])[0]["ann"]
    assert shopper_from_bytes(state.to_bytes()) == state
    assert state.forgotten_ms == T0 + DAY
    plain = learn([MUGS, CLICK])[0]["ann"]
    fence, _, body = plain.to_bytes().partition(b"\n")
    assert shopper_from_bytes(fence + b"\n" + json.dumps(json.loads(body)[:-1]).encode()) == plain


def test_credit_of_forgotten_facts_goes_too_when_the_pair_names_the_client():
    later = act("click", "p9", at=30 * DAY)  # sweeps all that came before
    states, facts = learn([MUGS, CLICK, PURCHASE, later, wish(at=31 * DAY)])
    assert states["ann"].lines == {}
    assert bare(count(facts)) == {}
    others = by("bob", MUGS, CLICK, PURCHASE)
    _, facts = learn([*others, MUGS, CLICK, PURCHASE, later, wish(at=31 * DAY)])
    shared, wanted = count(facts)[b"mug\tp1"], count(learn(others)[1])[b"mug\tp1"]
    assert shared.clients == wanted.clients
    assert credit_of(shared) == credit_of(wanted)


def test_whoever_was_silent_for_long_is_taken_off_days_before_that_whether_still_remembered_or_not():
    clicks = [
        MUGS,
        CLICK,
        search("q2", "mug", ["p1"], at=20 * DAY),
        act("click", "p1", at=20 * DAY, query_id="q2"),
    ]
    eve = by("eve", search("q3", "mug", ["p1"], at=60 * DAY), act("click", "p1", at=60 * DAY, query_id="q3"))
    states, facts = learn([*clicks, *eve])
    # The remembered line is taken back by itself
    for state, old in ((states["ann"], 1000), (Shopper(), 2000)):
        _, reversals, erasure = forget(state, wish(at=61 * DAY), 0, (9, 0), RULES)
        assert erasure.through_day == (T0 + 61 * DAY - RULES.retention_ms) // DAY
        assert sum(c.credit for c in reversals) == old - 2000
    pair = count([erasure], count(facts))[b"mug\tp1"]
    assert list(pair.days) == [(T0 + 60 * DAY) // DAY]


def test_credit_of_unknown_days_comes_off_the_newest_day_that_it_can_be_of_and_the_most_committed_action():
    bob = "f" * 16
    pair = fold([
        contribution(1000, position=(0, 0, 0), day=1, client=ANN, units=1),
        contribution(1000, position=(1, 0, 0), day=2, client=bob, units=1),
        contribution(1000, position=(2, 0, 0), day=2, client=bob, action=Action.CLICK),
        contribution(1000, position=(3, 0, 0), day=9, client=bob, units=1),
    ])[b"mug\tp1"]  # fmt: skip
    after = erase_client(pair, ClientErasure(client=ANN, through_day=5, source=0, position=(4, 0, 0)))
    assert after.days == {
        1: {Action.PURCHASE: (1000, 1, 0)},
        2: {Action.CLICK: (1000, 0, 0)},
        9: {Action.PURCHASE: (1000, 1, 0)},
    }
    assert after.clients == {bob: 3000}
    assert after.fence == {0: (4, 0, 0)}


def test_units_and_revenue_shrink_with_their_row():
    pair = fold(
        [
            contribution(1000, units=2, client=ANN),
            contribution(3000, position=(1, 0, 0), units=6, client="f" * 16),
        ]
    )[b"mug\tp1"]
    after = erase_client(pair, ClientErasure(client=ANN, through_day=1, source=0, position=(2, 0, 0)))
    assert after.days == {1: {Action.PURCHASE: (3000, 6, 0)}}


def test_a_client_beyond_the_sketch_leaves_no_hash_and_takes_no_one_elses_credit():
    hashes = [f"{n:016x}" for n in range(MAX_CLIENTS)]  # all smaller than ann's
    crowd = [
        contribution(1000, position=(n, 0, 0), source=1, client=h, day=20000) for n, h in enumerate(hashes)
    ]
    _, facts = learn([MUGS, CLICK, wish()])
    pairs = count(
        [*crowd, facts[0], *[replace(c, credit=-1000, position=(99, 0, 0)) for c in crowd[:1]], *facts[1:]]
    )
    assert ANN not in pairs[b"mug\tp1"].clients
    assert credit_of(pairs[b"mug\tp1"]) == 1000 * (MAX_CLIENTS - 1)


SHOPPERS = ["ann", "bob", "cy"]


@st.composite
def _histories(draw):
    history = []
    for n in range(draw(st.integers(1, 16))):
        shopper, at = draw(st.sampled_from(SHOPPERS)), draw(st.integers(0, 50)) * MINUTE
        kind = draw(st.sampled_from(["search", "click", "add_to_cart", "purchase", "refund"]))
        product, query_id = draw(st.sampled_from(["p1", "p2"])), draw(st.sampled_from(["q1", "q2"]))
        order = "o" if kind in {"purchase", "refund"} else None
        event = (
            search(query_id, query_id, [product], at=at)
            if kind == "search"
            else act(
                kind,
                product,
                at=at,
                query_id=query_id,
                order=order,
                units=draw(st.integers(1, 3)),
                event_id=f"e{n}",
            )
        )
        history += by(shopper, event)
    return history


@settings(max_examples=200, deadline=None)
@given(_histories())
def test_after_forgetting_pairs_are_those_of_a_pass_without_the_shopper(history):
    _, facts = learn([*history, wish()])
    wanted = bare(count(learn([e for e in history if e.shopper != "ann"])[1]))
    assert bare(count(facts)) == wanted


@settings(max_examples=100, deadline=None)
@given(_histories(), st.integers(0, 1 << 30))
def test_kills_that_repeat_facts_change_nothing(history, seed):
    """``contributions`` is written twice from some place on, and read again from some place on.

    As after a kill of either agent.
    """
    rng = random.Random(seed)
    cut = rng.randrange(len(history) + 1)
    log = [*history[:cut], wish(), *history[cut:]]
    _, facts = learn(log)
    straight = count(facts)
    back = rng.randrange(len(facts) + 1)
    twice = [*facts[: back + 1], *facts[rng.randrange(back + 1) :]]
    assert count(twice) == straight
    assert not any(ANN in p.clients for p in count(learn([*history, wish()])[1]).values())


def test_an_erasure_read_again_spares_what_the_shopper_has_earned_since():
    _, facts = learn(
        [
            search("q0", "tea"),
            wish(at=0),
            search("q1", "mug", ["p1"], at=DAY),
            act("click", "p1", at=DAY + 1, query_id="q1"),
        ]
    )
    pairs = count(facts)
    [erasure] = [f for f in facts if isinstance(f, ClientErasure)]
    late = replace(erasure, through_day=1 << 20)
    assert erase_client(pairs[b"mug\tp1"], late) is pairs[b"mug\tp1"]
    assert pairs[b"mug\tp1"].clients == {ANN: 1000}


def test_an_erasure_finds_what_was_counted_before_there_was_a_salt_and_takes_no_one_elses_credit():
    salted = dataclasses.replace(RULES, salt="0123456789abcdef", salts_before=("",))
    bob = by("bob", MUGS, CLICK)
    alone = count(learn(bob, salted)[1])
    states, facts = learn([*by("ann", MUGS, CLICK), *bob])  # both before there was a salt
    assert any(ANN in pair.clients for pair in count(facts).values())
    _, taken_back, erasure = forget(states["ann"], wish(), 0, (99, 0), salted)
    assert {c.client for c in taken_back} == {erasure.client} == {client_of("ann", salted.salt)} != {ANN}
    pairs = count([*taken_back, erasure], count(facts))
    assert not any({ANN, erasure.client} & pair.clients.keys() for pair in pairs.values())
    assert {k: p.days for k, p in pairs.items() if p.days} == {k: p.days for k, p in alone.items()}


def test_two_salts_know_a_shopper_by_two_hashes_and_none_by_that_of_before():
    assert (
        len({client_of("ann"), client_of("ann", "0123456789abcdef"), client_of("ann", "0123456789abcdeg")})
        == 3
    )
    assert client_of("ann", "") == client_of("ann") == "8d3adf6abf23f3a5"
