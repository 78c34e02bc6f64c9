"""aiokafka's reading made safe for what anybody can write.

With this in place no record stops a consumer, or fills its memory. Upstream raises for a header name that is
not UTF-8, at every fetch anew; it unpacks a batch whatever becomes of its size, and hands out all that a
fetch has brought, however large that is unpacked. Written against aiokafka 0.14 (its private names; a test
asserts it).
"""

import threading
from collections.abc import Callable, Iterator
from struct import unpack_from
from typing import Any

import cramjam
import structlog
from aiokafka.codec import _detect_xerial_stream
from aiokafka.consumer import fetcher
from aiokafka.record import default_records, memory_records
from aiokafka.record._crecords import default_records as fast_records

WRITTEN_FOR = "0.14."
# What one batch may hold unpacked. Producers fill batches up to about a megabyte, a broker here takes 8 MB of
# packed bytes.
MAX_BATCH_BYTES = 32 << 20
# What one partition hands out at a time, in bytes of values and keys; at least one record.
MAX_POLL_BYTES = 8 << 20
# The header of the one record, without key and value, that stands for a batch that is too large unpacked.
OVERSIZED = "searchloop.oversized"
_LOG_OVERHEAD_BYTES = 12
_XERIAL_HEADER_BYTES = 16
_XERIAL_LENGTH_BYTES = 4

# The records, by topic, partition and offset, that no consumer of this process is given
# (``broker.skipping``).
SKIPPED_PLACES: set[tuple[str, int, int]] = set()

log = structlog.get_logger(__name__)
_room = threading.local()


class OversizedBatchError(Exception):
    """A batch that does not fit into ``MAX_BATCH_BYTES`` unpacked, or cannot be unpacked at all."""


def install() -> None:
    """Put this in the place of upstream's own, for every consumer of the process, faust's too.

    May be called again.
    """
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = Records
    fetcher.FetchResult = Handout
    for module in (fast_records, default_records):
        for name, unpack in _UNPACKERS.items():
            setattr(module, name, unpack)


class Batches:
    """The batches of one fetch.

    The one that was given last can be given again, in a form that is read more patiently.
    """

    def __init__(self, raw: bytes) -> None:
        self._inner = memory_records.MemoryRecords(raw)
        self._raw = memoryview(raw)
        self._begin = self._end = 0
        self._last: Any = None
        self._instead: Any = None

    def size_in_bytes(self) -> int:
        """Return the size of the fetch."""
        return int(self._inner.size_in_bytes())

    def has_next(self) -> bool:
        """Say whether there is a whole batch left."""
        return self._instead is not None or bool(self._inner.has_next())

    def next_batch(self) -> Any:
        """Return the next batch."""
        if self._instead is not None:
            batch, self._instead = self._instead, None
            return batch
        self._last = None
        self._last = self._inner.next_batch()
        self._begin, self._end = (
            self._end,
            self._end + _LOG_OVERHEAD_BYTES + unpack_from(">i", self._raw, self._end + 8)[0],
        )
        return self._last

    def is_whole(self) -> bool:
        """Say whether the last batch is what its writer sent.

        Then it is its writer's fault and not the disk's if it cannot be read.
        """
        raw = bytes(self._raw[self._begin : self._end])
        return self._last is not None and bool(memory_records.MemoryRecords(raw).next_batch().validate_crc())

    def again(self, *, unreadable_from: int | None = None) -> None:
        """Give the last batch once more.

        With odd header names written out, or what it has from an offset on as one record that says so.
        """
        patient = unreadable_from is None
        self._instead = (
            Patient(self._raw[self._begin : self._end])
            if patient
            else Unreadable(self._last, unreadable_from)
        )


class Patient(default_records._DefaultRecordBatchPy):  # type: ignore[misc] # noqa: SLF001 (upstream's pure form has no other name)
    """A batch whose header names may be any bytes."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)


class _Lenient(bytearray):
    """Bytes of which every slice can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Lenient(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class Unreadable:
    """Stands for what is left of a batch that is oversized or damaged: one record at its first offset.

    Nobody reads what was in it.
    """

    def __init__(self, batch: Any, begin: int | None) -> None:
        self.base_offset, self.next_offset = batch.base_offset, batch.next_offset
        self.producer_id = batch.producer_id
        self.is_transactional, self.is_control_batch = batch.is_transactional, False
        first = min(max(batch.base_offset, begin or 0), batch.next_offset - 1)
        said = (
            f"{batch.next_offset - first} offsets in one batch of more than {MAX_BATCH_BYTES} bytes, or "
            "damaged"
        ).encode()
        self._record = default_records._DefaultRecordPy(  # noqa: SLF001 (as above)
            first, batch.max_timestamp, batch.timestamp_type, None, None, [(OVERSIZED, said)]
        )

    def validate_crc(self) -> bool:
        """Say yes: it was validated before."""
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter([self._record])


class Records(fetcher.PartitionRecords):  # type: ignore[misc] # ships no types
    """The records of one fetch of one partition.

    A batch that upstream cannot read is read again, from the record it stopped at.
    """

    _records_iterator: Any

    def __next__(self) -> Any:
        while True:
            try:
                return next(self._records_iterator)
            except StopIteration:
                self._records_iterator = None
                raise
            except UnicodeDecodeError:
                self._records.again()
            except Exception:  # whatever a record can be that its writer has signed with the right sum
                if not self._records.is_whole():
                    raise
                self._records.again(unreadable_from=self.next_fetch_offset)
            # Skips what lies before ``next_fetch_offset``
            self._records_iterator = self._unpack_records()


class Handout(fetcher.FetchResult):  # type: ignore[misc] # ships no types
    """What is handed out of one fetch: at most ``MAX_POLL_BYTES`` at a time, the rest with the next poll."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return the next records of the partition."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        found: list[Any] = []
        size = 0
        for record in self._partition_records:
            if SKIPPED_PLACES and _is_skipped(record):
                continue
            found.append(record)
            size += len(record.key or b"") + len(record.value or b"")
            if size >= MAX_POLL_BYTES or (max_records is not None and len(found) >= max_records):
                self._update_position()
                return found
        self._update_position()
        self._partition_records = None
        return found


def _is_skipped(record: Any) -> bool:
    if (record.topic, record.partition, record.offset) not in SKIPPED_PLACES:
        return False
    log.warning(
        "record skipped as ordered by an operator",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    return True


def _unpack_into(unpack_into: Callable[[Any, bytearray], int]) -> Callable[[Any], bytes]:
    def unpack(payload: Any) -> bytes:
        room: bytearray | None = getattr(_room, "bytes", None)
        if room is None:
            room = _room.bytes = bytearray(MAX_BATCH_BYTES)  # costs memory only as far as it was ever filled
        try:
            return bytes(memoryview(room)[: unpack_into(payload, room)])
        except cramjam.DecompressionError as error:
            raise OversizedBatchError(str(error)) from error

    return unpack


def _unpack_snappy(payload: Any) -> bytes:
    if not _detect_xerial_stream(payload):
        return _snappy_block(payload, MAX_BATCH_BYTES)
    found, view, at = bytearray(), memoryview(payload), _XERIAL_HEADER_BYTES
    # Fewer bytes behind the last block are nothing, as for Java's reader
    while len(view) - at > _XERIAL_LENGTH_BYTES:
        length = unpack_from("!i", view, at)[0]
        if length <= 0:
            raise OversizedBatchError("a snappy block without length")
        end = at + _XERIAL_LENGTH_BYTES + length
        found += _snappy_block(view[at + _XERIAL_LENGTH_BYTES : end], MAX_BATCH_BYTES - len(found))
        at = end
    return bytes(found)


def _snappy_block(block: Any, room: int) -> bytes:
    try:
        if cramjam.snappy.decompress_raw_len(block) > room:
            raise OversizedBatchError("a snappy block says so")
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise OversizedBatchError(str(error)) from error


_UNPACKERS: dict[str, Callable[[Any], bytes]] = {
    "zstd_decode": _unpack_into(cramjam.zstd.decompress_into),
    "lz4_decode": _unpack_into(cramjam.lz4.decompress_into),
    "gzip_decode": _unpack_into(cramjam.gzip.decompress_into),
    "snappy_decode": _unpack_snappy,
}
