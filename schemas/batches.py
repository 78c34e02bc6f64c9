"""Micro-batched internal records: one Kafka record holds many small facts, one JSON object to a line.

Faust's cost is per record, so ``events`` and ``contributions`` are packed. A fact's position is (offset of
its record, its index in it).
"""

from collections.abc import Iterable, Iterator

MAX_FACTS_PER_RECORD = 100


def pack(facts: Iterable[bytes]) -> bytes:
    """Join serialised facts into one record value. JSON never holds a raw newline, so a line is a fact."""
    return b"\n".join(facts)


def unpack(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield ``(index, fact)`` in order; an empty value yields nothing."""
    if value:
        yield from enumerate(value.split(b"\n"))
