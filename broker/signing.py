"""Signatures of what decides who serves.

With a key (``SEARCHLOOP_SIGNING_KEY_FILE``, the same for trainer, indexer, API and operators), decisions and
deployment commands carry HMAC-SHA-256 (RFC 2104) of topic, key and value, and the indexer believes no other:
who can write to these topics and has not the key deploys nothing.
"""

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from typing import Self

from broker.records import Outgoing, Record
from schemas.connections import KafkaConnection
from schemas.settings import SettingsError
from schemas.topics import DECISIONS, DEPLOYMENT_COMMANDS

HEADER = "searchloop-signature"
SIGNED = (DECISIONS.name, DEPLOYMENT_COMMANDS.name)
LEAST_BYTES = 32


class Signing:
    """One key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, connection: KafkaConnection) -> Self | None:
        """Read the key; None where none is named.

        Raises ``SettingsError`` for a file that cannot be read or holds less than ``LEAST_BYTES``.
        """
        if not connection.signing_key_file:
            return None
        try:
            key = Path(connection.signing_key_file).read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"signing_key_file cannot be read: {error.strerror}") from error
        if len(key) < LEAST_BYTES:
            raise SettingsError(f"signing_key_file holds {len(key)} bytes: a key has {LEAST_BYTES} at least")
        return cls(key)

    def signed(self, record: Outgoing) -> Outgoing:
        """Return a record with its signature, where its topic wants one."""
        if not record.topic.endswith(SIGNED):
            return record
        header = (HEADER, self._of(record.topic, record.key, record.value))
        return replace(record, headers=(*record.headers, header))

    def holds(self, record: Record) -> bool:
        """Say whether a record carries the signature of its topic, key and value."""
        found = record.header(HEADER)
        return found is not None and hmac.compare_digest(
            found, self._of(record.topic, record.key, record.value)
        )

    def _of(self, topic: str, key: bytes | None, value: bytes | None) -> bytes:
        total = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (topic.encode(), key or b"", value or b""):
            total.update(len(part).to_bytes(8, "big") + part)
        return total.hexdigest().encode()
