"""Pictures that look nearly the same: a difference hash finds them, their colours confirm it.

The hash has a bit for each of 8 x 8 fields: is it brighter than its left neighbour (D. Lim's dHash, as N.
Krawetz describes it, 2013). The colours are the means of 16 x 16 fields, compared where not both are white:
the same shirt in another colour is another picture, and so are two rings in the middle of white.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from commands.completeness.joined_groups import JoinedGroups
from media.images import pixels

SIDE = 144
_MOST_BITS = 10
# Of 255, the mean of what is not white. On the 2,037 pictures of benchmarks.catalog_report pairs below are
# the same thing in another shade or size, and from 9 on other wallets and shoes.
_MOST_DIFFERENCE = 8.0
_WHITE = 240
_LEAST_FIELDS = 8
_NEIGHBOURS = 8
_WEIGHTS = np.array([0.299, 0.587, 0.114])

Print = tuple[int, npt.NDArray[np.uint8]]


def print_of(prepared: bytes) -> Print:
    """Return the hash of a prepared picture, 64 bits, and its mean colours (256, 3).

    Raises ``ValueError`` for bytes that are no prepared picture.
    """
    seen = pixels(prepared, SIDE).astype(np.float32)
    grey = (seen @ _WEIGHTS).reshape(8, 18, 9, 16).mean(axis=(1, 3))
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    colours = seen.reshape(16, 9, 16, 9, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    return int.from_bytes(bits.tobytes(), "big"), colours.reshape(256, 3)


def alike_pictures(prints: Sequence[Print]) -> list[list[int]]:
    """Return groups of places in ``prints`` that are alike, in order.

    Hashes that differ in at most three bits agree in one of four parts. Within a part each is compared with
    the eight that follow it: time does not grow with the square, and in a crowd of likes some may be missed.
    """
    joined = JoinedGroups()
    hashes = np.array([h for h, _ in prints], np.uint64)
    for part in range(4):
        keys = (hashes >> np.uint64(16 * part)) & np.uint64(0xFFFF)
        order = np.lexsort((hashes, keys))
        for ahead in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            first, second = order[:-ahead], order[ahead:]
            near = keys[first] == keys[second]
            near &= np.bitwise_count(hashes[first] ^ hashes[second]) <= _MOST_BITS
            for one, other in zip(first[near].tolist(), second[near].tolist(), strict=True):
                if difference(prints[one][1], prints[other][1]) <= _MOST_DIFFERENCE:
                    joined.join(one, other)
    return joined.all()


def difference(one: Any, other: Any) -> float:
    """Return by how much the colours of two pictures differ, 0 to 255, where not both are white."""
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=1)
    seen = (np.minimum(one, other) < _WHITE).any(axis=1)
    return float(apart[seen].sum() / max(int(seen.sum()), _LEAST_FIELDS))
