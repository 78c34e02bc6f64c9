"""Merchandising: what an operator wants of some products, whatever their score. The topic ``rules``."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import ControlTime, Id, Message
from schemas.bounds import BOOST, NAME_CHARS, QUERY_CHARS, REASON_CHARS, RULE_IDS
from schemas.search import Filters, RuleAction
from schemas.settings import MAIN


class MerchandisingRule(Message):
    """A merchandising rule: the topic ``rules``, key rule_id; a null value deletes.

    It is about the products of ``product_ids`` that meet all ``filters``; about all that meet them where it
    names none. A pin names its products, in their order. ``query``: for this query alone, in whichever
    spelling is the same query; None: for every query. ``boost`` is what a boost adds to the score. It holds
    from ``since`` on and before ``until``. ``actor`` is what the writer says of itself.
    """

    rule_id: Id
    deployment: Id = MAIN
    action: RuleAction
    query: Annotated[str, Field(max_length=QUERY_CHARS)] | None = None
    product_ids: Annotated[list[Id], Field(max_length=RULE_IDS)] = []
    filters: Filters = []
    boost: Annotated[float, Field(gt=0, le=BOOST)] | None = None
    since: ControlTime | None = None
    until: ControlTime | None = None
    actor: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.product_ids and not self.filters:
            raise ValueError("a rule names products, or filters that they meet")
        if self.action is RuleAction.PIN and not self.product_ids:
            raise ValueError("a pin names its products: their order is what it is for")
        if (self.action is RuleAction.BOOST) != (self.boost is not None):
            raise ValueError("a boost, and no other rule, says what it adds to the score")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("the rule would end before it begins")
        return self
