"""What a line of a file says of itself before it is judged: its fields and the key of its record."""

from collections.abc import Mapping
from typing import Any

from broker.records import Record
from inbound.envelope import Opened, open_record
from schemas.absent import NOBODY
from schemas.decoding import load
from schemas.rejections import Rejection


def fields_of(line: bytes) -> dict[str, Any]:
    """Return the fields of a line's message, taken out of its envelope; none when it cannot be read."""
    opened = open_record(Record("", 0, 0, 0, None, line), max_bytes=len(line))
    loaded = None if isinstance(opened, Rejection) or opened.value is None else load(opened.value)
    if loaded is None or isinstance(loaded, Rejection):
        return {}
    return (
        {"timestamp": opened.envelope_time} | loaded
        if isinstance(opened, Opened) and opened.envelope_time
        else loaded
    )


def key_of(topic: str, line: bytes) -> bytes | None:
    """Return the record key of a line: the product id, or the shopper; None when it has neither."""
    return key_in(topic, fields_of(line))


def key_in(topic: str, fields: Mapping[str, Any]) -> bytes | None:
    """Return the key of the record with these fields, as ``key_of`` does."""
    names = ("product_id",) if topic == "products" else ("client_id", "session_id", "user_id", "query_id")
    found = next(
        (fields[n] for n in names if fields.get(n) not in (None, "") and str(fields[n]) not in NOBODY), None
    )
    return None if found is None else str(found).encode()
