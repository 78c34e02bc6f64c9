"""What operators ask for, on its way to its topic and back."""

from typing import cast

from api.bodies import Capacity
from api.following import StateFollower
from api.operating import Operating
from api.operator_state import OperatorState
from api.taking import Taking
from schemas.rules import MerchandisingRule
from schemas.search import RuleAction
from schemas.settings import ApiSettings


def test_the_time_of_a_request_is_what_its_topic_gives_back():
    """Else what was written never equals what is read, and each answer waits in vain for it."""
    settings = ApiSettings()
    follower = StateFollower(OperatorState(settings))
    operating = Operating(settings, cast("Taking", None), follower, Capacity(1, 1))
    rule = MerchandisingRule(rule_id="r", action=RuleAction.HIDE, product_ids=["p"], at=operating.now())
    assert MerchandisingRule.from_json(rule.to_json()) == rule
