"""What a browser is told so that a page of another origin may call, and may read what is said. Pure."""

from collections.abc import Collection, Mapping

from api.search_codes import GENERATION, QUERY_ID
from schemas.traceparent import TRACEPARENT

Headers = list[tuple[bytes, bytes]]
_KEPT_S = 600
_READABLE = f"{QUERY_ID}, {GENERATION}, Server-Timing, Retry-After, {TRACEPARENT}"
_SENDABLE = f"Authorization, Content-Encoding, Content-Type, X-API-Key, {TRACEPARENT}"


def allowed(headers: Mapping[str, str], origins: Collection[str]) -> Headers:
    """Return the headers for a page of one of the origins; none for any other.

    Never for all origins, and never for a browser's own credentials: what opens is a key.
    """
    origin = headers.get("origin")
    if origin is None or origin not in origins:
        return []
    return _encoded(
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _READABLE,
            "Vary": "Origin",
        }
    )


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a browser asks whether it may ask. It cannot show a key yet."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def preflight() -> Headers:
    """Return what a page may do, besides ``allowed``."""
    return _encoded(
        {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": _SENDABLE,
            "Access-Control-Max-Age": str(_KEPT_S),
        }
    )


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
