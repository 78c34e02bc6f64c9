"""Keys of the HTTP API: what is kept of each, and what it lets its holder do. The topic ``api-keys``.

A key is ``sl_``, the id by which lists and logs call it, and a secret of 256 random bits. What is kept is its
SHA-256: nobody guesses 256 bits, so a slow hash, which is for passwords, would only slow every request down.
"""

import hashlib
import re
import secrets
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import ControlTime, Fact
from schemas.bounds import NAME_CHARS, REASON_CHARS

_FORM = re.compile(r"sl_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)


class Role(StrEnum):
    """What a key is good for. None contains another."""

    EVENTS = "events"  # write searches and interactions
    PRODUCTS = "products"  # write the catalogue
    SEARCH = "search"
    READ = "read"  # see runs, releases, decisions, the console
    OPERATE = "operate"  # change what serves, start trainings, forget shoppers


class ApiKey(Fact):
    """A key: the topic ``api-keys``, key key_id; a null value forgets it.

    ``sha256`` is of the whole key, in hexadecimal. One with ``revoked_at`` lets nobody in. ``actor`` is what
    the writer says of itself.
    """

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
    roles: Annotated[list[Role], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    actor: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""
    made_at: ControlTime
    revoked_at: ControlTime | None = None


def new_key() -> str:
    """Return a key that nobody has."""
    return f"sl_{secrets.token_hex(6)}_{secrets.token_hex(32)}"


def id_of(key: str) -> str | None:
    """Return the id that a key names; None where it has not the form of a key.

    >>> id_of("sl_0123456789ab_" + 64 * "0")
    '0123456789ab'
    """
    found = _FORM.fullmatch(key)
    return found[1] if found else None


def digest(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()
