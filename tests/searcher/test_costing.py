"""What requests cost, and what a unit of cost takes."""

import pytest

from schemas.bounds import FILTER_CHARS, FILTER_VALUES
from schemas.search import SearchRequest
from searcher.costing import CostRate, cost_of, heavy
from searcher.recent import Recent

MANY = [{"field": "category", "op": "in", "value": [str(n) for n in range(100)]}] * (FILTER_VALUES // 100)
LONG = [{"field": "brand", "op": "in", "value": ["x" * FILTER_CHARS] * 60}]


def request(**fields: object) -> SearchRequest:
    return SearchRequest.model_validate({"request_id": "r", "user_query": "tv", **fields})


@pytest.mark.parametrize(
    "fields", [{"image": b"a file"}, {"k": 200, "offset": 1000}, {"filters": MANY}, {"filters": LONG}]
)
def test_what_works_the_index_hard_is_searched_alone_and_is_no_example_of_what_shoppers_ask(
    fields: dict[str, object],
):
    recent = Recent()
    recent.add(request(**fields))
    assert heavy(cost_of(request(**fields)))
    assert "tv" not in recent.sample(5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"k": 50},
        {"filters": [{"field": "brand", "value": "red"}]},
        {"filters": [{"field": "attributes.size", "op": "in", "value": [42, True, "XL"]}]},
        {"k": 20, "offset": 100},
    ],
)
def test_what_a_shop_page_asks_is_ordinary(fields: dict[str, object]):
    assert not heavy(cost_of(request(**fields)))


def test_a_small_batch_says_that_a_unit_takes_less_and_never_more():
    pace = CostRate()
    pace.note(1.0, 0.0, 0.5)
    assert pace.unit_s == 0.0
    pace.note(50.0, 1.0, 2.0)
    assert 0 < pace.unit_s <= 0.02
    slow = pace.unit_s
    pace.note(1.0, 3.0, 3.001)
    assert pace.unit_s < slow


def test_batches_that_overlap_are_counted_by_what_each_has_added():
    pace = CostRate()
    for n in range(30):
        pace.note(100.0, float(n), n + 3.0)
    assert pace.unit_s == pytest.approx(0.01, rel=0.1)
