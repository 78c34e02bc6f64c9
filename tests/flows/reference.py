"""What the pairs must be.

One clean pass of the raw records through the pure rules, without Kafka and without Faust.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.records import Record
from credit.attribution import attribute
from credit.shopper import Rules, Shopper
from inbound.validation import validate_interaction, validate_product, validate_search
from schemas.events import CleanInteraction, CleanSearch
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.settings import StreamSettings
from stream.aggregation import aggregate


@dataclass(frozen=True)
class Raw:
    topic_name: str
    key: bytes | None
    value: bytes | None


def expected_pairs(records: Iterable[Raw], settings: StreamSettings) -> dict[bytes, Pair]:
    """Products must come before the events about them, and all be known."""
    rules, now = Rules.of(settings), datetime.now(UTC)
    shoppers: dict[str, Shopper] = {}
    pairs: dict[bytes, Pair] = {}
    for number, raw in enumerate(records):
        record = Record(raw.topic_name, 0, number, 0, raw.key, raw.value)
        if raw.topic_name == "products":
            assert isinstance(validate_product(record, settings), CatalogProduct)
            continue
        check = validate_search if raw.topic_name == "searches" else validate_interaction
        event = check(record, now, settings)
        assert isinstance(event, CleanSearch | CleanInteraction), event
        state, contributions = attribute(
            shoppers.get(event.shopper) or Shopper(), event, 0, (number, 0), rules
        )
        shoppers[event.shopper] = state
        for c in contributions:
            key = pair_key(c.query, c.product_id)
            pairs[key] = aggregate(pairs.get(key) or Pair(query=c.query, product_id=c.product_id), c)
    return pairs
