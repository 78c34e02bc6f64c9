"""What a merchandising rule is, and what is none."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.rules import MerchandisingRule
from schemas.search import RuleAction


def rule(**fields: Any) -> MerchandisingRule:
    return MerchandisingRule.model_validate({"rule_id": "r", "action": "hide", **fields})


def test_a_rule_is_about_named_products_or_about_those_that_meet_filters():
    assert rule(product_ids=["p1", 7]).product_ids == ["p1", "7"]
    assert rule(filters=[{"field": "brand", "value": "Acme"}]).query is None
    for nothing in (
        {},
        {"product_ids": []},
        {"action": "pin", "filters": [{"field": "brand", "value": "A"}]},
    ):
        with pytest.raises(ValidationError, match="products"):
            rule(**nothing)


def test_a_boost_and_nothing_else_says_how_much():
    assert rule(action="boost", boost=0.25, product_ids=["p"]).action is RuleAction.BOOST
    for wrong in ({"action": "boost"}, {"boost": 0.5}, {"action": "boost", "boost": "NaN"}):
        with pytest.raises(ValidationError, match="boost"):
            rule(product_ids=["p"], **wrong)


def test_a_rule_ends_after_it_begins():
    days = [f"2026-03-{day}T12:00:00Z" for day in (10, 11)]
    assert rule(product_ids=["p"], since=days[0], until=days[1]).until
    assert rule(product_ids=["p"], until="2026-03-10T12:00:00").until.tzinfo is not None
    for since, until in ((days[0], days[0]), (days[1], days[0])):
        with pytest.raises(ValidationError, match="end before"):
            rule(product_ids=["p"], since=since, until=until)
