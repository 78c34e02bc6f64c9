"""The formats of others by name, and what of theirs is written to a raw topic."""

import json
from collections.abc import Mapping, Sequence

from broker.records import Outgoing
from inbound.importers import algolia, ga4, google, segment, ubi
from inbound.importers.outcome import Body, Convert
from inbound.importers.wrapping import unwrapped
from inbound.raw_records import key_of

CONVERTERS: Mapping[str, Convert] = {
    "ubi-queries": ubi.convert_query,
    "ubi-events": ubi.convert_event,
    "algolia": algolia.convert,
    "segment": segment.convert,
    "ga4": ga4.convert,
    "google": google.convert,
}


_BATCHES: Mapping[str, Sequence[Sequence[str]]] = {
    "ubi-queries": ubi.BATCHES,
    "ubi-events": ubi.BATCHES,
    "algolia": algolia.BATCHES,
    "segment": segment.BATCHES,
    "google": google.BATCHES,
}


def records_within(form: str, record: Body) -> int:
    """Return of how many records a line of a format is a batch; 1 where it is none."""
    found = unwrapped(record, *_BATCHES.get(form, ()))
    return 1 if found is None else len(found)


def outgoing(topic: str, full_name: str, body: Body) -> Outgoing:
    """Return the record of a converted body for ``topic``, whose full name is ``full_name``."""
    value = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Outgoing(full_name, value, key=key_of(topic, value))
