from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.bounds import PAIR_DAYS
from schemas.events import Action
from schemas.pairs import MAX_CLIENTS, Pair
from stream.aggregation import aggregate, canonical, fold_days, has_days_to_fold, supersedes
from tests.stream.builders import contribution, fold

EMPTY = Pair(query="mug", product_id="p1")


def _all(contributions):
    return fold(contributions)[b"mug\tp1"]


def test_days_and_actions_are_summed_apart():
    pair = _all([
        contribution(1000, position=(0, 0, 0), units=2),
        contribution(300, position=(1, 0, 0), units=1),
        contribution(800, position=(2, 0, 0), day=2, action=Action.CLICK),
    ])  # fmt: skip
    assert pair.days == {1: {Action.PURCHASE: (1300, 3, 0)}, 2: {Action.CLICK: (800, 0, 0)}}
    assert pair.clients == {"0" * 16: 2100}
    assert pair.revision == 3


def test_what_is_taken_back_leaves_no_row_and_no_client():
    pair = _all([contribution(1000, units=1), contribution(-1000, position=(0, 0, 1), units=-1)])
    assert (pair.days, pair.clients) == ({}, {})


def test_a_position_that_was_applied_counts_nothing():
    pair = _all([contribution(position=(4, 0, 1))])
    assert aggregate(pair, contribution(position=(4, 0, 1))) is pair
    assert aggregate(pair, contribution(position=(3, 9, 9))) is pair
    assert aggregate(pair, contribution(position=(0, 0, 0), source=1)).revision == 2


def test_the_client_sketch_keeps_the_smallest_hashes():
    hashes = [f"{n:016x}" for n in range(MAX_CLIENTS + 20)]
    pair = _all([contribution(position=(n, 0, 0), client=h) for n, h in enumerate(reversed(hashes))])
    assert sorted(pair.clients) == hashes[:MAX_CLIENTS]


def test_recovery_keeps_the_pair_that_has_seen_more():
    less, more = _all([contribution()]), _all([contribution(), contribution(position=(1, 0, 0), source=3)])
    assert supersedes(canonical(more), canonical(less))
    assert not supersedes(canonical(less), canonical(more))


# One stream of contributions per source, each in order, as Kafka gives them.
STREAMS = st.lists(
    st.lists(
        st.tuples(st.sampled_from([1000, 800, -300]), st.integers(1, 2), st.sampled_from("ab")), max_size=6
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(STREAMS, st.randoms(use_true_random=False))
def test_any_interleaving_with_any_replay_gives_the_same_bytes(streams, random):
    sources = [
        [
            contribution(c, position=(n, 0, 0), source=source, day=d, client=h * 16)
            for n, (c, d, h) in enumerate(stream)
        ]
        for source, stream in enumerate(streams)
    ]
    straight = EMPTY
    for c in (c for source in sources for c in source):
        straight = aggregate(straight, c)
    mixed, at = EMPTY, [0] * len(sources)
    while any(at[s] < len(sources[s]) for s in range(len(sources))):
        s = random.choice([s for s in range(len(sources)) if at[s] < len(sources[s])])
        at[s] = max(0, at[s] - random.choice([0, 0, 1, 3]))  # a replay starts again a little earlier
        mixed = aggregate(mixed, sources[s][at[s]])
        at[s] += 1
    assert canonical(mixed) == canonical(straight)
    assert mixed.revision == sum(map(len, sources))


def test_beyond_so_many_days_the_two_oldest_are_summed_and_nothing_is_lost():
    at_bound = _all(
        [contribution(day=day, position=(day, 0, 0), action=Action.CLICK) for day in range(PAIR_DAYS)]
    )
    assert len(at_bound.days) == PAIR_DAYS
    one_more = aggregate(at_bound, contribution(day=PAIR_DAYS, position=(PAIR_DAYS, 0, 0)))
    assert list(one_more.days) == [0, *range(2, PAIR_DAYS + 1)]
    assert one_more.days[0] == {Action.CLICK: (2000, 0, 0)}


def test_the_largest_pair_is_a_record_that_kafka_takes():
    tea, much = "\U0001f375" * 1024, 10**13
    days = [
        contribution(
            much,
            query=tea,
            product=tea[:256],
            day=day,
            position=(day, 0, 0),
            action=action,
            units=much,
            client=f"{day % 99:016x}",
        )
        for day in range(20_000, 20_000 + PAIR_DAYS + 10)
        for action in Action
    ]
    [pair] = fold(replace(c, position=(n, 0, 0)) for n, c in enumerate(days)).values()
    pair = replace(pair, fence=dict.fromkeys(range(512), (1 << 50, 999, 999)))
    assert len(canonical(pair)) < 1_000_000


TIMES = st.lists(
    st.tuples(
        st.integers(17_000, 20_500), st.sampled_from([1000, -1000, 300]), st.sampled_from(list(Action))
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(TIMES, st.lists(st.integers(19_800, 20_400), max_size=4), st.integers(0, 20))
def test_days_folded_at_any_time_end_in_the_same_sums(times, looks, last_look):
    """Folded now and then as time goes on, or once at the end.

    The same, with nothing lost and young days single.
    """
    history = [
        contribution(c, position=(n, 0, 0), day=day, action=action, units=1)
        for n, (day, c, action) in enumerate(times)
    ]
    often = once = EMPTY
    for n, c in enumerate(history):
        once, often = aggregate(once, c), aggregate(often, c)
        for through in sorted(looks)[: n % 5]:
            often = fold_days(often, through)
    through = max(looks, default=20_000) + last_look
    for pair in (often, once):
        assert has_days_to_fold(canonical(pair), through) == (fold_days(pair, through) is not pair)
    often, once = fold_days(often, through), fold_days(once, through)
    assert (often.days, often.clients, often.fence) == (once.days, once.clients, once.fence)
    assert sum(x[1] for row in once.days.values() for x in row.values()) <= len(times)
    assert sum(x[0] for row in once.days.values() for x in row.values()) == sum(c for _, c, _ in times)
    assert all(
        day >= through - 91 or day % 91 == 45 or (day % 728 == 409 and day < through - 1092)
        for day in once.days
    )
    assert len([day for day in once.days if day < through - 91]) <= 16 + (20_500 - 17_000) // 728
    assert fold_days(once, through) is once
    assert Pair.from_json(canonical(once)) == once
