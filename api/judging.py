"""What becomes of a posted record: by the very rules of intake, before anything is written. Pure.

The clock is an argument. As intake does, it knows no other record; unlike intake, it knows no catalogue, so
that a product exists is not asked here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from api.posted import Posted
from broker.guarding import judged
from broker.records import Outgoing, Record
from inbound.envelope import agreed_id
from inbound.importers.formats import CONVERTERS, outgoing, records_within
from inbound.importers.outcome import Batch, Skipped
from inbound.raw_records import fields_of, key_in, naming_fields_of
from inbound.validation import Ignored, Tombstone
from inbound.validators import VALIDATORS
from schemas.bounds import POSTED_RECORDS
from schemas.decoding import load, refuse
from schemas.http import FieldError, RecordResult
from schemas.products import CatalogProduct
from schemas.rejections import Reason, Rejection
from schemas.settings import IntakeRules
from schemas.topics import INTERACTIONS, PRODUCTS, SEARCHES

UBI = "ubi"
FORMATS = (UBI, *(name for name in CONVERTERS if not name.startswith(f"{UBI}-")))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a record, and what of it is written."""

    result: RecordResult
    records: tuple[Outgoing, ...] = ()


class RecordJudge:
    """The rules, the names of the topics and the clock of one request, and what its batches held so far."""

    def __init__(self, rules: IntakeRules, topic_name: Callable[[str], str], now: datetime) -> None:
        self._rules, self._topic_name, self._now = rules, topic_name, now
        self._within = 0

    def event(self, index: int, posted: Posted) -> Verdict:
        """Judge a search or an interaction, by its fields."""
        fields = naming_fields_of(posted.value)
        if fields.get("action_name") not in (None, ""):
            return self._record(index, INTERACTIONS.name, posted, fields)
        if "user_query" in fields:
            return self._record(index, SEARCHES.name, posted, fields)
        if not fields_of(posted.value):  # the validator says why it cannot be read
            return self._record(index, INTERACTIONS.name, posted, {})
        neither = "an event has action_name (an interaction) or user_query (a search)"
        return refused(index, refuse(Reason.SCHEMA, message=neither))

    def product(self, index: int, posted: Posted) -> Verdict:
        """Judge a product, or its deletion."""
        return self._record(index, PRODUCTS.name, posted, naming_fields_of(posted.value))

    def deletion(self, product_id: str) -> Verdict:
        """Judge the deletion of a product by its id alone."""
        if "\ufffd" in product_id:
            return refused(0, refuse(Reason.UNDECODABLE_TEXT, "key", "the id is not UTF-8"))
        full = self._topic_name(PRODUCTS.name)
        return self._outgoing(0, PRODUCTS.name, Outgoing(full, None, key=product_id.encode()))

    def foreign(self, form: str, index: int, posted: Posted) -> Verdict:
        """Judge a record of another system: all that it becomes is good, or nothing is written."""
        fields = load(posted.value)
        if isinstance(fields, Rejection):
            return refused(index, fields)
        name = (f"{UBI}-events" if "action_name" in fields else f"{UBI}-queries") if form == UBI else form
        self._within += records_within(name, fields)
        if self._within > POSTED_RECORDS:
            most = f"at most {POSTED_RECORDS} records in one request, those in batches counted"
            return refused(index, refuse(Reason.TOO_LARGE, message=most))
        if form == "algolia":
            fields = _timed(fields, self._now)
        found = judged(lambda _: CONVERTERS[name](fields), Record(name, 0, index, 0, None, posted.value))
        if isinstance(found, Rejection):
            return refused(index, found)
        if isinstance(found, Skipped):
            return Verdict(RecordResult(index=index, status="ignored", reason=found.why.value))
        made = [
            self._outgoing(index, topic, outgoing(topic, self._topic_name(topic), body))
            for topic, body in (found.records if isinstance(found, Batch) else found)
        ]
        bad = next((one for one in made if one.result.status == "refused"), None)
        if bad is not None or len(made) == 1:
            return bad or made[0]
        written = tuple(record for one in made for record in one.records)
        return Verdict(RecordResult(index=index, status="accepted"), written)

    def _record(self, index: int, topic: str, posted: Posted, fields: Mapping[str, object]) -> Verdict:
        record = Outgoing(
            self._topic_name(topic), posted.value, key=key_in(topic, fields), headers=posted.headers
        )
        return self._outgoing(index, topic, record)

    def _outgoing(self, index: int, topic: str, out: Outgoing) -> Verdict:
        record = Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)
        found = judged(lambda one: VALIDATORS[topic](one, self._now, self._rules), record)
        if isinstance(found, Rejection):
            return refused(index, found)
        if isinstance(found, Ignored):  # intake says so, too, and counts it
            return Verdict(RecordResult(index=index, status="ignored", reason=found.why), (out,))
        if isinstance(found, CatalogProduct | Tombstone):
            return Verdict(RecordResult(index=index, status="accepted", product_id=found.product_id), (out,))
        event_id = getattr(found, "event_id", None)
        own = event_id if event_id != _placeless_id(out.topic) else None
        return Verdict(RecordResult(index=index, status="accepted", event_id=own), (out,))


@cache
def _placeless_id(topic: str) -> str | Rejection:
    """Return what intake's rule calls a record without an id, here where all lie in the same place."""
    return agreed_id(None, None, Record(topic, 0, 0, 0, None, None))


def _timed(fields: dict[str, object], now: datetime) -> dict[str, object]:
    """Return Algolia's event, or its batch, with the time of receipt where there is none, as Algolia does."""
    events = fields.get("events")
    if isinstance(events, list):
        return fields | {"events": [_timed(one, now) if isinstance(one, dict) else one for one in events]}
    return fields if fields.get("timestamp") else fields | {"timestamp": int(now.timestamp() * 1000)}


def refused(index: int, rejection: Rejection) -> Verdict:
    """Return what is said of a record that intake would not take."""
    errors = [FieldError(loc=p.loc, message=p.message) for p in rejection.problems]
    return Verdict(RecordResult(index=index, status="refused", reason=rejection.reason, errors=errors))
