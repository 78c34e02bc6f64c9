"""Mark a search as answered by one of our searchers. Pure, given a key.

Anybody may write to ``searches``, and name a generation there that has answered nothing. So a searcher seals
what it writes, with a key of its own that it tells on ``searcher-reports``: who cannot read those cannot
seal. A seal binds the generation to the query id.
"""

import hashlib
import hmac
from collections import OrderedDict

KEY_BYTES = 16
_NAME = 8
KEYS = 1000  # of as many searchers as are listened to


def key_name(key: bytes) -> str:
    """Return the digits by which a seal says whose key it was made with."""
    return hashlib.sha256(key).hexdigest()[:_NAME]


def seal(key: bytes, query_id: str, generation: int) -> str:
    """Return the seal of a search: 8 digits of the key's name and 16 of the proof.

    >>> seal(bytes(16), "q1", 7)
    '374708ffc7c5e57d493e32e6'
    """
    return key_name(key) + _proof(key, query_id, generation)


class Keys:
    """The keys of the searchers that were heard last."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, bytes] = OrderedDict()

    def learn(self, text: str | None) -> None:
        """Take a key in, from its hexadecimal digits. What is none is ignored."""
        try:
            key = bytes.fromhex(text or "")
        except ValueError:
            return
        if len(key) != KEY_BYTES:
            return
        name = key_name(key)
        self._keys[name] = key
        self._keys.move_to_end(name)
        if len(self._keys) > KEYS:
            self._keys.popitem(last=False)

    def made(self, sealed: str | None, query_id: str, generation: int) -> bool:
        """Say whether one of these keys made the seal for this search and generation."""
        text = sealed or ""
        key = self._keys.get(text[:_NAME])
        return (
            key is not None
            and text.isascii()
            and hmac.compare_digest(_proof(key, query_id, generation), text[_NAME:])
        )


def _proof(key: bytes, query_id: str, generation: int) -> str:
    return hashlib.blake2b(
        f"{generation} {query_id}".encode("utf-8", "replace"), key=key, digest_size=8
    ).hexdigest()
