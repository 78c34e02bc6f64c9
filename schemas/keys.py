"""Keys of the HTTP API: what is kept of each, and what it lets its holder do. The topic ``api-keys``.

A key is ``sl_``, the id by which lists and logs call it, and a secret of 256 random bits. What is kept is its
SHA-256: nobody guesses 256 bits, so a slow hash, which is for passwords, would only slow every request down.
"""

import hashlib
import re
import secrets
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import ControlTime, Fact
from schemas.bounds import KEY_ORIGINS, NAME_CHARS, POSTED_BYTES, REASON_CHARS

_FORM = re.compile(r"sl_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)
# As a browser says it: no path, no port that the scheme implies.
_ORIGIN = r"^https?://[a-z0-9._\-\[\]:]{1,255}$"


class Role(StrEnum):
    """What a key is good for. None contains another."""

    EVENTS = "events"  # write searches and interactions
    PRODUCTS = "products"  # write the catalogue
    SEARCH = "search"
    READ = "read"  # see runs, releases, decisions, the console
    OPERATE = "operate"  # change what serves, start trainings, forget shoppers


# What a key may do that lies in a page for all to see, and what it gets where nobody says more: as many
# records a second as a hundred shoppers at work, and a body that a browser sends after a page has gone.
PUBLIC_ROLES = frozenset({Role.EVENTS, Role.SEARCH})
PUBLIC_RECORDS_PER_S = 500.0
PUBLIC_BODY_BYTES = 1 << 16
# A record in a quarter of an hour: waiting times stay numbers that a header can hold.
SLOWEST_PER_S = 0.001


class ApiKey(Fact):
    """A key: the topic ``api-keys``, key key_id; a null value forgets it.

    ``sha256`` is of the whole key, in hexadecimal. ``origins``: pages of these may use it; a key that has any
    is public. ``records_per_s``: records and searches, on average; ``body_bytes``: of one request; None: what
    the API takes of anybody. One with ``revoked_at`` lets nobody in. ``actor`` is what the writer says of
    itself.
    """

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
    roles: Annotated[list[Role], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    origins: Annotated[list[Annotated[str, Field(pattern=_ORIGIN)]], Field(max_length=KEY_ORIGINS)] = []
    records_per_s: Annotated[float, Field(ge=SLOWEST_PER_S)] | None = None
    body_bytes: Annotated[int, Field(ge=1, le=POSTED_BYTES)] | None = None
    actor: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""
    made_at: ControlTime
    revoked_at: ControlTime | None = None

    @model_validator(mode="after")
    def _public(self) -> Self:
        if self.origins and not PUBLIC_ROLES.issuperset(self.roles):
            raise ValueError(f"a key for pages is for {' and '.join(sorted(PUBLIC_ROLES))} alone")
        return self

    @property
    def only_writes_events(self) -> bool:
        """Say whether it may stand in an address: it lies in pages anyway, and reads nothing."""
        return bool(self.origins) and set(self.roles) == {Role.EVENTS}


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
