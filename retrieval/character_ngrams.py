"""The character n-grams of texts, as numbers.

Two to four characters within a word, with the spaces around it: " xbox " has " x", "xb", ..., "box ". Pure
arithmetic on whole arrays; knows no weights and no index.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from schemas.text import normalise_query

SHORTEST, LONGEST = 2, 4
_SPACE = ord(" ")
# Odd, so that multiplying loses nothing (Knuth's multiplicative hashing, 64 bits)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


@lru_cache(64)
def ngrams_of(text: str) -> tuple[npt.NDArray[np.int64], Hashes, npt.NDArray[np.int8]]:
    """Return what ``ngrams`` does of one text, read-only; remembered, for two parts of a score ask for it."""
    found = ngrams([text])
    for column in found:
        column.setflags(write=False)
    return found


def ngrams(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], Hashes, npt.NDArray[np.int8]]:
    """Return of every n-gram the number of its text, its hash, and its length; in the order of the texts.

    As often as it stands there. Texts are normalised first, so case and spaces say nothing. A text without
    a letter that is readable has none.
    """
    spaced = [f" {'  '.join(normalise_query(text).split())} " for text in texts]
    lengths = np.array([len(text) for text in spaced], dtype=np.int64)
    points = np.frombuffer("".join(spaced).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    texts_of = np.repeat(np.arange(len(spaced)), lengths)
    space = points == _SPACE
    # Between two words, and between two texts, stand two spaces: a new word begins at the second
    begins = space & np.concatenate([[True], space[:-1]]) if len(points) else space
    words = np.cumsum(begins)
    found = []
    hashed = np.zeros(len(points), dtype=np.uint64)
    for length in range(1, LONGEST + 1):
        ends = len(points) - length + 1
        if ends <= 0:
            break
        hashed = (hashed[:ends] + points[length - 1 :].astype(np.uint64) + np.uint64(1)) * _FACTOR
        hashed ^= hashed >> np.uint64(29)
        if length >= SHORTEST:
            at = np.flatnonzero(words[:ends] == words[length - 1 :])
            found.append((texts_of[at], hashed[at], np.full(len(at), length, dtype=np.int8)))
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing.astype(np.uint64), nothing.astype(np.int8)
    rows, hashes, sizes = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(rows, kind="stable")
    return rows[order], hashes[order], sizes[order]
