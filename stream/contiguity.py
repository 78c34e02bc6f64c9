"""Watch the offsets that arrive.

What is missing between two records was lost, and must be seen by somebody.
"""

from collections.abc import Collection, Mapping


class OffsetsWentBackError(RuntimeError):
    """A topic was made anew while it was read."""


class Contiguity:
    """The next offset expected of every partition.

    Internal topics are neither compacted nor transactional, so offsets have no holes. ``skipped``: the
    topics, partitions and offsets that are kept from this process, as an operator said.
    """

    def __init__(self, skipped: Collection[tuple[str, int, int]] = ()) -> None:
        self._skipped = skipped
        self._next: dict[tuple[str, int], int] = {}
        self._begun: dict[tuple[str, int], int] = {}

    def begin_at(self, positions: Mapping[tuple[str, int], int | None]) -> None:
        """Start again at these positions, after a rebalance.

        None, a partition without a commit, may start anywhere.
        """
        self._begun = {tp: offset for tp, offset in positions.items() if offset is not None}
        self._next = dict(self._begun)

    def missed(self, topic: str, partition: int, offset: int) -> int:
        """Take an offset in; return how many before it never came: 0 in order and for a replay.

        Raises ``OffsetsWentBackError`` for one before where its partition began.
        """
        if offset < self._begun.get((topic, partition), 0):
            raise OffsetsWentBackError(
                f"{topic}/{partition} has begun at offset {self._begun[topic, partition]} and now brings "
                f"{offset}: the topic was made anew, which the next start takes in"
            )
        expected = self._next.get((topic, partition), offset)
        self._next[topic, partition] = max(expected, offset + 1)
        if offset <= expected:
            return 0
        return (
            offset
            - expected
            - sum(t == topic and p == partition and expected <= o < offset for t, p, o in self._skipped)
        )
