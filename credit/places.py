"""Places in ``events``: an offset, and the epoch of the partition, which rises with each topic it has been.

See ADR 0024; ``stream.epochs`` says when an epoch begins.
"""

# Offsets of one epoch: more than a partition ever holds.
SPAN = 1 << 48


def offset_of(place: int) -> int:
    """Return the offset of a place; -1, which is before all, stays.

    >>> offset_of(2 * SPAN + 7), offset_of(7), offset_of(-1)
    (7, 7, -1)
    """
    return place if place < 0 else place % SPAN


def epoch_of(place: int) -> int:
    """Return the epoch of a place.

    >>> epoch_of(2 * SPAN + 7), epoch_of(7), epoch_of(-1)
    (2, 0, 0)
    """
    return max(place, 0) // SPAN
