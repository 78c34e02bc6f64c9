"""Which callers are kept out, as long as nobody needs a key.

On loopback the network lets in whoever works on this machine, and with them every page that their browsers
show. A page of another site must neither write nor search, nor reach us under a name of its own (DNS
rebinding). Pure; it knows headers only.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit


def kept_out(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """Return why a request is not let in, or None.

    ``names``: by which we may be called besides addresses and words without a dot, in lower case.

    >>> kept_out({"host": "127.0.0.1:8077"}, ())
    >>> kept_out({"host": "evil.example:8077"}, ())
    "'evil.example' is no name of this API: SEARCHLOOP_API_NAMES names those that are"
    """
    host = headers.get("host", "")
    name = _name(host)
    if "." in name and not _is_address(name) and name not in names:
        return f"{name[:100]!r} is no name of this API: SEARCHLOOP_API_NAMES names those that are"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return "a page of another origin may not call this API"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return "a page of another site may not call this API"
    return None


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower().rstrip(".")
    except ValueError:  # a bracket without end
        return f"{host}."


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
