"""What a line of a file says of itself before it is judged: its fields and the key of its record."""

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec

from broker.records import Record
from inbound.envelope import SPECVERSION, Opened, open_record
from schemas.absent import NOBODY
from schemas.base import DAMAGED
from schemas.decoding import load
from schemas.rejections import Rejection


class _Naming(TypedDict, total=False):
    action_name: Any
    user_query: Any
    client_id: Any
    session_id: Any
    user_id: Any
    query_id: Any
    product_id: Any


_PRODUCT_ID = ("product_id",)
_SHOPPER = ("client_id", "session_id", "user_id", "query_id")
_NAMING = msgspec.json.Decoder(_Naming)


def naming_fields_of(line: bytes) -> Mapping[str, Any]:
    """Return of ``fields_of`` those that name its kind and its key, if not more, in an eighth of the time.

    What stands beside them is passed over, not judged: the line may be none that can be read.
    """
    if SPECVERSION not in line:
        try:
            return _NAMING.decode(line)
        except (msgspec.DecodeError, *DAMAGED):
            pass
    return fields_of(line)


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
    for name in _PRODUCT_ID if topic == "products" else _SHOPPER:
        found = fields.get(name)
        if found not in (None, "") and str(found) not in NOBODY:
            return str(found).encode()
    return None
