"""The truth about each record is what intake's own rules make of it."""

from datetime import UTC, datetime

from broker.records import Record
from inbound.validation import Tombstone, validate_interaction, validate_product, validate_search
from schemas.events import CleanInteraction
from schemas.products import CatalogProduct
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from simulator.shop import Shop

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = StreamSettings()


def outcome(record, versions):
    """Return (outcome, reason) as intake decides them; ``versions`` is the catalogue so far."""
    raw = Record(record.topic_name, 0, 0, 0, record.key, record.value)
    if record.topic_name == "products":
        found = validate_product(raw, SETTINGS)
        if isinstance(found, Tombstone):
            versions.pop(found.product_id, None)
        if isinstance(found, CatalogProduct):
            if versions.get(found.product_id, -1) >= found.version:
                return "ignored", None
            versions[found.product_id] = found.version
    else:
        found = (validate_search if record.topic_name == "searches" else validate_interaction)(
            raw, END, SETTINGS
        )
    if isinstance(found, CleanInteraction) and all(line.product_id not in versions for line in found.lines):
        return "refused", Reason.UNKNOWN_PRODUCT
    return ("refused", found.reason) if isinstance(found, Rejection) else ("accepted", None)


def test_intake_decides_every_record_as_its_truth_says():
    shop = Shop(11, end=END, products=800, shoppers=80, weeks=4, sessions_per_week=150, dirt_share=0.08)
    versions = {}
    for record in [*shop.products(), *shop.all_events()]:
        assert outcome(record, versions) == (record.truth.outcome, record.truth.reason), record
    assert len(versions) == sum(p.deleted_in is None for p in shop.catalog)
