"""Which key a request shows. Pure; nothing of what it returns may be logged."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import parse_qs

# As Algolia's clients name it: in a header, or in an address in letters of any size.
ALGOLIA_KEY = "x-algolia-api-key"
_IN_ADDRESS = ("key", ALGOLIA_KEY)


def key_shown(headers: Mapping[str, str]) -> str | None:
    """Return the key in the headers; None where there is none.

    ``Authorization: Bearer KEY``, or Basic with the key as password, which browsers ask a person for, or as
    the user without one, as Segment's clients show it; else ``X-API-Key``, or the header of Algolia's.
    Another scheme is somebody else's, and shows no key.

    >>> key_shown({"authorization": "Bearer sl_1"}), key_shown({"x-api-key": "sl_2"}), key_shown({})
    ('sl_1', 'sl_2', None)
    """
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _of_basic(rest.strip())
        case _:
            return headers.get("x-api-key", headers.get(ALGOLIA_KEY))


def key_in_address(query: bytes) -> str | None:
    """Return the key of ``?key=``, or of the name that Algolia's clients give it; None where there is none.

    What a browser sends after its page has gone (``navigator.sendBeacon``) can have no header of ours.

    >>> key_in_address(b"format=ubi&key=sl_1"), key_in_address(b"")
    ('sl_1', None)
    """
    if b"key=" not in query.lower():
        return None
    said = {name.lower(): values for name, values in parse_qs(query.decode("latin-1")).items()}
    return next((said[name][0] for name in _IN_ADDRESS if name in said), None)


def _of_basic(encoded: str) -> str:
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return password or user
