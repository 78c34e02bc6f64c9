"""Which page a request comes from, and whether it asks for us by a name of ours. Pure; it knows headers only.

On loopback the network lets in whoever works on this machine, and with them every page that their browsers
show. A page of another site must neither write nor search unless a key is for it, nor reach us under a name
of its own (DNS rebinding).
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit


def unknown_name(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """Return why the name by which we are called is none of ours, or None.

    ``names``: by which we may be called besides addresses and words without a dot, in lower case.

    >>> unknown_name({"host": "127.0.0.1:8077"}, ())
    >>> unknown_name({"host": "evil.example:8077"}, ())
    "'evil.example' is no name of this API: SEARCHLOOP_API_NAMES names those that are"
    """
    name = _name(headers.get("host", ""))
    if "." in name and not _is_address(name) and name not in names:
        return f"{name[:100]!r} is no name of this API: SEARCHLOOP_API_NAMES names those that are"
    return None


def other_page(headers: Mapping[str, str]) -> str | None:
    """Return the origin of the page of another site that asks; None where none does.

    It is empty where a browser says no more than that it is another's.

    >>> other_page({"host": "api:8077", "origin": "http://api:8077", "sec-fetch-site": "same-origin"})
    >>> other_page({"host": "api:8077", "origin": "https://shop.example"})
    'https://shop.example'
    """
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return origin
    return None if headers.get("sec-fetch-site", "none") in {"none", "same-origin"} else ""


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
