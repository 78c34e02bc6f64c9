"""What the gate is told of the data."""

import pytest

from tests.trainer.builders import a_pair, a_product
from trainer.data.snapshot import frames
from trainer.gate.data_facts import facts_of, leading_clients


def shop():
    products = [a_product("p1", "tea"), a_product("p2", "pot")]
    return frames(
        [
            a_pair("tea", "p1", {100: 2, 108: 6}, clients=1),
            a_pair("red pot", "p2", {100: 6, 108: 2}, clients=4),
        ],
        products,
    )


def test_clients_and_queries_have_their_shares():
    facts = facts_of(shop(), cut_day=105, received=10, refused=1)
    assert (facts.pairs, facts.clients) == (2, 4)
    assert facts.client_share == pytest.approx(10 / 16)  # 8 of tea, 2 of the pot
    assert facts.query_share == pytest.approx(6 / 8)
    assert facts.volume_ratio == pytest.approx(1.0)


def test_traffic_of_the_test_is_compared_with_days_and_not_with_sums_of_many():
    even = a_pair("tea", "p1", dict.fromkeys(range(100, 200), 5) | {45: 91 * 5}, clients=1)
    facts = facts_of(frames([even], [a_product("p1", "tea")]), cut_day=193, received=None, refused=None)
    assert facts.volume_ratio == pytest.approx(1.0)


def test_other_queries_in_the_test_are_a_shift():
    facts = facts_of(shop(), cut_day=105, received=None, refused=None)
    assert facts.length_shift == pytest.approx(0.434, abs=0.01)  # one word: 2 of 8 before, 6 of 8 in the test
    assert facts.category_shift == 0.0


def test_no_data_gives_zeros():
    facts = facts_of(frames([], []), cut_day=0, received=0, refused=0)
    assert (facts.pairs, facts.clients, facts.client_share, facts.volume_ratio) == (0, 0, 0.0, None)


def test_a_query_belongs_to_a_client_that_holds_more_than_half():
    snapshot = shop()
    queries = snapshot.pairs.select("query").unique().sort("query")
    assert leading_clients(snapshot.clients, queries) == ["", "0" * 16]
