"""Grouping and memory."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.search import Filter, SearchRequest
from searcher.batching import Memory, group

SONY = Filter(field="brand", value="Sony")
CHEAP = Filter(field="price", op="lt", value=10.0)


def request(k: int = 10, offset: int = 0, *filters: Filter) -> SearchRequest:
    return SearchRequest(request_id="r", user_query="q", k=k, offset=offset, filters=list(filters))


def test_requests_of_one_depth_and_the_same_conditions_share_a_call():
    groups = group([request(10), request(5, 5), request(10, 0, SONY, CHEAP), request(10, 0, CHEAP, SONY)])
    assert [(g.depth, g.members) for g in groups] == [(10, (0, 1)), (10, (2, 3))]


def test_another_depth_or_another_condition_is_another_call():
    assert len(group([request(10), request(11), request(10, 0, SONY), request(10, 0, CHEAP)])) == 4


def test_no_requests_make_no_groups():
    assert group([]) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.sampled_from([(), (SONY,), (CHEAP,)])), max_size=20
    )
)
def test_every_request_is_in_exactly_one_group_of_its_depth(
    shapes: list[tuple[int, int, tuple[Filter, ...]]],
):
    requests = [request(k, offset, *filters) for k, offset, filters in shapes]
    groups = group(requests)
    assert sorted(m for g in groups for m in g.members) == list(range(len(requests)))
    assert all(
        requests[m].k + requests[m].offset == g.depth and tuple(requests[m].filters) == g.filters
        for g in groups
        for m in g.members
    )


def test_memory_forgets_the_oldest_first_and_what_it_is_told_to():
    memory = Memory(2)
    for thing in ("a", "b", "a", "c"):
        memory.add(thing)
    assert ["a" in memory, "b" in memory, "c" in memory] == [True, False, True]
    memory.discard("a")
    memory.discard("never seen")
    assert "a" not in memory
