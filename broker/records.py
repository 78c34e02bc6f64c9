"""A Kafka record, in and out, as plain data, and the one partitioner."""

from dataclasses import dataclass
from functools import lru_cache

from aiokafka.partitioner import murmur2

# What a broker takes in one batch of the topics that we make, as far as they do not say less.
TOPIC_BYTES = 8 << 20
# Kafka allows a header without a value, and names that are no UTF-8: those come with the odd bytes written as
# ``\xNN``.
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read.

    ``value`` None is a tombstone. ``timestamp_ms`` is the producer's or the broker's clock.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """Return the last header of that name; None when there is none, or it has no value."""
        return next((v for k, v in reversed(self.headers) if k == name), None)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. Without ``partition`` the key decides (murmur2, as Java does)."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


def bytes_of(record: Record | Outgoing) -> int:
    """Return the size of key, value and headers together, in bytes."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: murmur2, positive, modulo.

    What every Java client and aiokafka compute.
    """
    return partition_of_key(key.encode(), partitions)


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the same of a key as it is written."""
    hashed = _hash_of if len(key) <= _SHORT_KEY else _hash_of.__wrapped__
    return int(hashed(key)) % partitions


# A shopper's records come close together, and the hash is Python: a fifth of what writing a record costs.
# Keys that strangers chose may have any length, and what is remembered must stay small.
_SHORT_KEY = 256


@lru_cache(maxsize=1 << 13)
def _hash_of(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF
