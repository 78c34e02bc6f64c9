"""W3C Trace Context, level 1: the header by which a request is followed through programs. Pure."""

import re

TRACEPARENT = "traceparent"
_BYTES = 55
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def parent_in(said: str | None) -> str | None:
    """Return what the header says; None where it is missing or none. What a later version adds is cut off.

    >>> parent_in("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    >>> parent_in("00-00000000000000000000000000000000-b7ad6b7169203331-01")
    """
    if said is None or _FORM.fullmatch(said[:_BYTES]) is None:
        return None
    later = said[_BYTES:]
    return said[:_BYTES] if not later or (later.startswith("-") and not said.startswith("00")) else None
