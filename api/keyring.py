"""The keys that open the API, as the topic ``api-keys`` says them, and whose key a caller shows.

Fed with records in the order of the log. What cannot be read opens nothing, and still counts as a key: an API
that somebody has closed stays closed.
"""

import hmac

import structlog
from pydantic import ValidationError

from api.allowance import Allowance
from api.caller import Caller
from broker.guarding import judged
from broker.records import Record
from schemas.bounds import API_KEYS
from schemas.keys import ApiKey, digest, id_of

log = structlog.get_logger(__name__)


class Keyring:
    """The state of ``api-keys`` after some records."""

    def __init__(self) -> None:
        self._keys: dict[bytes, ApiKey | None] = {}
        self._allowances: dict[bytes, Allowance] = {}
        self._origins: frozenset[str] | None = None

    def __len__(self) -> int:
        """Return how many keys there are, those that open nothing included."""
        return len(self._keys)

    def take(self, record: Record) -> None:
        """Take a record in."""
        if record.key is None:
            return
        self._origins = None
        if record.value is None:
            self._keys.pop(record.key, None)
            self._allowances.pop(record.key, None)
        elif record.key in self._keys or len(self._keys) < API_KEYS:
            found = judged(_key, record)
            self._keys[record.key] = found if isinstance(found, ApiKey) else None
        else:
            log.warning("a key beyond the bound was not taken", offset=record.offset, bound=API_KEYS)

    @property
    def origins(self) -> frozenset[str]:
        """The origins that any key which holds is for."""
        if self._origins is None:
            holding = [key for key in self._keys.values() if key is not None and key.revoked_at is None]
            self._origins = frozenset(origin for key in holding for origin in key.origins)
        return self._origins

    def holder(self, key: str, now_s: float) -> Caller | None:
        """Return who shows a key; None for one that opens nothing.

        The hash is compared in constant time; the id is no secret. Wrong keys leave nothing behind.
        """
        key_id = (id_of(key) or "").encode()
        found = self._keys.get(key_id)
        if found is None or found.revoked_at is not None:
            return None
        if not hmac.compare_digest(found.sha256, digest(key)):
            return None
        return Caller(found, self._allowance(key_id, found.records_per_s, now_s))

    def _allowance(self, key_id: bytes, per_s: float | None, now_s: float) -> Allowance | None:
        if per_s is None:
            return None
        there = self._allowances.get(key_id)
        if there is None or there.per_s != per_s:
            there = self._allowances[key_id] = Allowance.full(per_s, now_s)
        return there


def _key(record: Record) -> ApiKey | None:
    try:
        found = ApiKey.from_json(record.value or b"")
    except ValidationError:
        found = None
    if found is None or found.key_id.encode() != record.key:
        log.warning("what stands under a key's id is no key", offset=record.offset)
        return None
    return found
