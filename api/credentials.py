"""Which key a request shows. Pure; nothing of what it returns may be logged."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import parse_qs


def key_shown(headers: Mapping[str, str]) -> str | None:
    """Return the key in the headers; None where there is none.

    ``Authorization: Bearer KEY``, or Basic with the key as password, which browsers ask a person for; else
    ``X-API-Key``. Another scheme is somebody else's, and shows no key.

    >>> key_shown({"authorization": "Bearer sl_1"}), key_shown({"x-api-key": "sl_2"}), key_shown({})
    ('sl_1', 'sl_2', None)
    """
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _password(rest.strip())
        case _:
            return headers.get("x-api-key")


def key_in_address(query: bytes) -> str | None:
    """Return the key of ``?key=``; None where there is none.

    What a browser sends after its page has gone (``navigator.sendBeacon``) can have no header of ours.

    >>> key_in_address(b"format=ubi&key=sl_1"), key_in_address(b"")
    ('sl_1', None)
    """
    if b"key=" not in query:
        return None
    found = parse_qs(query.decode("latin-1")).get("key")
    return found[0] if found else None


def _password(encoded: str) -> str:
    try:
        return b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
