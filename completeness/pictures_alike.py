"""Pictures that look nearly the same: a difference hash finds them, their colours confirm it.

The hash has a bit for each of 8 x 8 fields: is it brighter than its left neighbour (D. Lim's dHash, as N.
Krawetz describes it, 2013). The colours are the means of 16 x 16 fields, compared where not both are white:
the same shirt in another colour is another picture, and so are two rings in the middle of white.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from completeness.joined_groups import JoinedGroups
from media.images import pixels

SIDE = 144
_MOST_BITS = 10
# Of 255, the mean of what is not white. On the 2,037 pictures of benchmarks.catalog_report pairs below are
# the same thing in another shade or size, and from 9 on other wallets and shoes.
_MOST_DIFFERENCE = 8.0
_WHITE = 240
_LEAST_FIELDS = 8
_NEIGHBOURS = 8
_CHUNK = 4096
_WEIGHTS = np.array([0.299, 0.587, 0.114])

Print = tuple[int, npt.NDArray[np.uint8]]


def print_of(prepared: bytes) -> Print:
    """Return the hash of a prepared picture, 64 bits, and its mean colours (3, 256).

    Raises ``ValueError`` for bytes that are no prepared picture.
    """
    seen = pixels(prepared, SIDE).astype(np.float32)
    grey = (seen @ _WEIGHTS).reshape(8, 18, 9, 16).mean(axis=(1, 3))
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    colours = seen.reshape(16, 9, 16, 9, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    return int.from_bytes(bits.tobytes(), "big"), np.ascontiguousarray(colours.reshape(256, 3).T)


def alike_pictures(prints: Sequence[Print]) -> list[list[int]]:
    """Return groups of places in ``prints`` that are alike, in order.

    Hashes that differ in at most three bits agree in one of four parts. Within a part each is compared with
    the eight that follow it: time does not grow with the square, and in a crowd of likes some may be missed.
    """
    joined = JoinedGroups()
    hashes = np.array([h for h, _ in prints], np.uint64)
    seen = np.zeros(0, np.int64)
    for first, second in _neighbours(hashes):
        pairs = np.setdiff1d(first * len(prints) + second, seen)
        seen = np.union1d(seen, pairs)
        for start in range(0, len(pairs), _CHUNK):
            some = pairs[start : start + _CHUNK]
            one, other = some // len(prints), some % len(prints)
            near = differences(_colours(prints, one), _colours(prints, other)) <= _MOST_DIFFERENCE
            for pair in zip(one[near].tolist(), other[near].tolist(), strict=True):
                joined.join(*pair)
    return joined.all()


def differences(one: Any, other: Any) -> Any:
    """Return by how much the colours of pairs of pictures differ, (n,) of 0 to 255, where not both are white.

    ``one`` and ``other`` are (n, 3, 256).
    """
    apart = (np.maximum(one, other) - np.minimum(one, other)).max(axis=1)
    seen = (np.minimum(one, other) < _WHITE).any(axis=1)
    return (apart * seen).sum(axis=1, dtype=np.int64) / np.maximum(seen.sum(axis=1), _LEAST_FIELDS)


def _neighbours(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of places that agree in a part of their hash and nearly in all of it."""
    for part in range(4):
        keys = (hashes >> np.uint64(16 * part)) & np.uint64(0xFFFF)
        order = np.lexsort((hashes, keys))
        for ahead in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            first, second = order[:-ahead], order[ahead:]
            near = keys[first] == keys[second]
            near &= np.bitwise_count(hashes[first] ^ hashes[second]) <= _MOST_BITS
            yield np.minimum(first[near], second[near]), np.maximum(first[near], second[near])


def _colours(prints: Sequence[Print], places: Any) -> Any:
    return np.stack([prints[place][1] for place in places.tolist()])
