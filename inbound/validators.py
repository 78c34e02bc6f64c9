"""Which validator judges the records of which raw topic.

The one table, for intake and for what looks at its rules from outside.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from broker.records import Record
from inbound.validation import (
    Ignored,
    validate_erasure,
    validate_interaction,
    validate_product,
    validate_search,
)
from schemas.events import CleanInteraction, CleanSearch, Forget
from schemas.rejections import Rejection
from schemas.settings import IntakeRules
from schemas.topics import ERASURES, INTERACTIONS, PRODUCTS, SEARCHES

Outcome = CleanSearch | CleanInteraction | Forget | Rejection | Ignored
EVENT_VALIDATORS: Mapping[str, Callable[[Record, datetime, IntakeRules], Outcome]] = {
    SEARCHES.name: validate_search,
    INTERACTIONS.name: validate_interaction,
    ERASURES.name: validate_erasure,
}
VALIDATORS: Mapping[str, Callable[[Record, datetime, IntakeRules], object]] = {
    **EVENT_VALIDATORS,
    PRODUCTS.name: lambda record, _now, rules: validate_product(record, rules),
}
