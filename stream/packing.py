"""Pack small facts into the few records that carry them.

Per partition, in order, bounded in number and bytes.
"""

from collections.abc import Iterable

from broker.records import Outgoing, partition_of
from schemas.batches import MAX_FACTS_PER_RECORD, pack

MAX_RECORD_BYTES = 512 * 1024


def pack_by_key(facts: Iterable[tuple[str | int, bytes]], topic: str, partitions: int) -> list[Outgoing]:
    """Return the records for ``(key, fact)`` pairs. The key only decides the partition, or is its number.

    Facts of a partition keep their order. A record is closed before it exceeds ``MAX_RECORD_BYTES``; a single
    larger fact travels alone.
    """
    waiting: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    records: list[Outgoing] = []
    chosen: dict[str | int, int] = {}
    for key, fact in facts:
        partition = chosen.get(key)
        if partition is None:
            partition = chosen[key] = key if isinstance(key, int) else partition_of(key, partitions)
        held = waiting.setdefault(partition, [])
        if held and (len(held) >= MAX_FACTS_PER_RECORD or sizes[partition] + len(fact) > MAX_RECORD_BYTES):
            records.append(Outgoing(topic, pack(held), partition=partition))
            held = waiting[partition] = []
            sizes[partition] = 0
        held.append(fact)
        sizes[partition] = sizes.get(partition, 0) + len(fact)
    records += [
        Outgoing(topic, pack(held), partition=partition) for partition, held in waiting.items() if held
    ]
    return records
