"""Queries out of titles, with made up vectors, and what was taken after them: for time, not relevance."""

from collections.abc import Iterator
from random import Random

import numpy as np
import numpy.typing as npt

from retrieval.query_memory import Taken
from schemas.text import normalise_query

DIM = 384

Floats = npt.NDArray[np.float32]


def queries_of(titles: list[list[str]], count: int, seed: int) -> list[str]:
    """Return distinct queries, sorted: one to four words that follow each other in a title, one in five
    misspelt.
    """  # noqa: D205 (one sentence)
    rng, found = Random(seed), set[str]()
    while len(found) < count:
        words = rng.choice(titles)
        start = rng.randrange(len(words))
        query = " ".join(words[start : start + rng.randint(1, 4)])
        found.add(misspelt(query, rng) if rng.random() < 0.2 or query in found else query)
    found.discard("")
    return sorted(found)


def misspelt(query: str, rng: Random) -> str:
    """Leave one character out, double it, or swap it with the next."""
    at = rng.randrange(len(query))
    made = rng.choice(
        [query[at + 1 :], query[at] + query[at:], query[at + 1 : at + 2] + query[at] + query[at + 2 :]]
    )
    return normalise_query(query[:at] + made)


def vectors_of(queries: list[str], seed: int) -> Floats:
    """Return (n, DIM) unit rows: the sum of a random vector for each word, or each word's first letters."""
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((1 << 15, DIM), dtype=np.float32)
    out = np.empty((len(queries), DIM), dtype=np.float32)
    for row, query in enumerate(queries):
        words = query.split()
        keys = [hash_of(word, seed) for word in words] + [hash_of(word[:3], seed) for word in words]
        out[row] = table[keys].sum(axis=0)
    out += 0.3 * rng.standard_normal(out.shape, dtype=np.float32)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out


def hash_of(word: str, seed: int) -> int:
    """Return a place in the table of vectors, the same in every process."""
    number = seed
    for character in word:
        number = (number * 1_000_003 + ord(character)) & 0xFFFFFFFF
    return number & 0x7FFF


def taken_after(queries: list[str], titles: list[list[str]], seed: int) -> Iterator[Taken]:
    """Yield up to three products of each query, with credit: they have its rarest word in their title."""
    by_word: dict[str, list[int]] = {}
    for number, words in enumerate(titles):
        for word in dict.fromkeys(words):
            by_word.setdefault(word, []).append(number)
    rng = Random(seed)
    everything = list(range(len(titles)))
    for query in queries:
        rarest = min(
            (by_word[word] for word in query.split() if word in by_word), key=len, default=everything
        )
        # The first of them are taken more often
        chosen = {rarest[int(len(rarest) * rng.random() ** 3)] for _ in range(3)}
        yield from (Taken(query, f"p{number:06}", rng.expovariate(0.5)) for number in sorted(chosen))
