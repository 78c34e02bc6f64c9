"""The keys that open the API, as the topic ``api-keys`` says them, and whose key a caller shows.

Fed with records in the order of the log. What cannot be read opens nothing, and still counts as a key: an API
that somebody has closed stays closed.
"""

import hmac

import structlog
from pydantic import ValidationError

from broker.guarding import judged
from broker.records import Record
from schemas.bounds import API_KEYS
from schemas.keys import ApiKey, digest, id_of

log = structlog.get_logger(__name__)


class Keyring:
    """The state of ``api-keys`` after some records."""

    def __init__(self) -> None:
        self._keys: dict[bytes, ApiKey | None] = {}

    def __len__(self) -> int:
        """Return how many keys there are, those that open nothing included."""
        return len(self._keys)

    def take(self, record: Record) -> None:
        """Take a record in."""
        if record.key is None:
            return
        if record.value is None:
            self._keys.pop(record.key, None)
        elif record.key in self._keys or len(self._keys) < API_KEYS:
            found = judged(_key, record)
            self._keys[record.key] = found if isinstance(found, ApiKey) else None
        else:
            log.warning("a key beyond the bound was not taken", offset=record.offset, bound=API_KEYS)

    def holder(self, key: str) -> ApiKey | None:
        """Return what is known of a key that somebody shows; None for one that opens nothing.

        The hash is compared in constant time; the id is no secret.
        """
        key_id = id_of(key)
        found = self._keys.get(key_id.encode()) if key_id else None
        if found is None or found.revoked_at is not None:
            return None
        return found if hmac.compare_digest(found.sha256, digest(key)) else None


def _key(record: Record) -> ApiKey | None:
    try:
        found = ApiKey.from_json(record.value or b"")
    except ValidationError:
        found = None
    if found is None or found.key_id.encode() != record.key:
        log.warning("what stands under a key's id is no key", offset=record.offset)
        return None
    return found
