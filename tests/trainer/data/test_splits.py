"""What may be trained, and what is the test."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.builders import WORTH, a_pair
from trainer.data.snapshot import frames
from trainer.data.splits import LeakError, Split, assert_no_leak, held_out, split, window


def _split(pairs, *, test_days=7, heldout_share=0.0, products=("a", "b")) -> Split:
    return split(
        frames(pairs, []).pairs, products, worth=WORTH, test_days=test_days, heldout_share=heldout_share
    )


def test_the_newest_days_are_the_test_and_count_from_the_newest_event():
    found = _split([a_pair("q", "a", {100: 1, 110: 1, 117: 2, 119: 1}), a_pair("q", "b", {130: 3})])
    assert (found.newest_day, found.cut_day) == (130, 124)
    assert found.train["day"].to_list() == [100, 110, 117, 119]
    assert found.qrels.select("query", "product_id", "credit", "gain").rows() == [("q", "b", 3.0, 2.0)]


def test_a_history_shorter_than_two_windows_gives_half_of_itself_to_the_test():
    assert [window(1, last, 7) for last in (1, 2, 3, 5, 13, 14, 30)] == [0, 1, 1, 2, 6, 7, 7]


def test_with_a_single_day_the_held_out_queries_are_the_test():
    found = _split([a_pair(f"q{i}", "a", {100: 1}) for i in range(60)], heldout_share=0.3)
    tested, trained = set(found.qrels["query"]), set(found.train["query"])
    assert found.test_days == 0
    assert tested
    assert tested | trained == {f"q{i}" for i in range(60)}
    assert not tested & trained
    assert found.inner.is_empty()


def test_what_held_out_queries_earned_before_the_cut_is_neither_trained_nor_tested():
    found = _split([a_pair(f"q{i}", "a", {100: 1, 130: 2}) for i in range(60)], heldout_share=0.3)
    trained, inner = set(found.train["query"]), set(found.inner["query"])
    assert inner
    assert inner | trained == {f"q{i}" for i in range(60)}
    assert not inner & trained
    assert set(found.inner["credit"]) == {1.0}  # of the time before the cut alone
    assert set(found.inner["unseen"]) == {True}


def test_a_query_without_training_is_marked_unseen():
    found = _split([a_pair("old", "a", {1: 1, 30: 1}), a_pair("fresh", "a", {30: 1})])
    assert dict(found.qrels.select("query", "unseen").iter_rows()) == {"old": False, "fresh": True}


def test_products_outside_the_catalogue_and_worthless_actions_do_not_count():
    gone = a_pair("q", "gone", {1: 1, 30: 1})
    assert _split([gone]).qrels.is_empty()
    assert _split([gone]).train.is_empty()


def test_a_refund_takes_the_gain_away():
    assert _split(
        [a_pair("q", "a", {1: 1}), a_pair("q", "b", {30: 1}), a_pair("q", "b", {30: -1})]
    ).qrels.is_empty()


def test_the_held_out_share_is_stable_and_near_the_asked_one():
    held = [q for q in (f"query {i}" for i in range(2000)) if held_out(q, 0.1)]
    assert 150 < len(held) < 250
    assert held == [q for q in (f"query {i}" for i in range(2000)) if held_out(f" {q.upper()} ", 0.1)]


@given(
    st.lists(
        st.tuples(st.sampled_from("qrstuvw"), st.sampled_from("ab"), st.integers(0, 40)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 10),
    st.sampled_from([0.0, 0.3]),
)
def test_no_row_of_the_test_is_ever_trained(events, test_days, share):
    found = _split([a_pair(q, p, {d: 1}) for q, p, d in events], test_days=test_days, heldout_share=share)
    assert_no_leak(found.train, cut_day=found.cut_day, heldout_share=share)
    if found.test_days:
        assert found.newest_day - found.test_days < found.cut_day


def test_a_leak_is_an_error():
    rows = frames([a_pair("q", "a", {5: 1})], []).pairs
    with pytest.raises(LeakError, match="begins at 5"):
        assert_no_leak(rows, cut_day=5, heldout_share=0.0)
    with pytest.raises(LeakError, match="held-out"):
        assert_no_leak(rows, cut_day=6, heldout_share=0.999999)


def test_nothing_in_gives_nothing_out():
    found = _split([])
    assert isinstance(found.train, pl.DataFrame)
    assert found.train.is_empty()
    assert found.qrels.is_empty()
