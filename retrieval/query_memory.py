"""What shoppers took after earlier queries like this one: the part ``memory`` of a score.

An artefact of one snapshot: the queries, their vectors by the release's encoder, and the credit of their
products; also how popular each product is (``prior``, 0 to 1). A product's value is log1p(S K) / log1p(S),
where K sums, over the queries nearest by characters and by vector, exp((s - 1) / T) c / (c + H): s is the
mean of both similarities, c the credit. It does not depend on k, page or filters, and is 0 without credit
near by. Of pairs that a single client made, those of the client who adds most to a product's sum are left
out: alone nobody moves anything. Knows no clock: what counts as credit is decided by who makes the pairs.
Forgetting is building anew without them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from retrieval.character_index import CharacterIndex, Written, build_character_index
from retrieval.mapped_arrays import ArtefactError, MappedArrays, write_arrays
from retrieval.vector_lists import Floats, Rows, VectorLists, best, build_lists

FORMAT = "searchloop-memory-1"
NEAREST = 200  # queries by characters, and as many by vector
TEMPERATURE = 0.12
HALF = 2.0  # the credit that counts half of what endless credit would
SCALE = 1e3
MAX_PRODUCTS = 64  # of one query: those with the most credit

_SEVERAL = -1
_NOTHING = 1e-12  # what the rounding of sums may leave


class Taken(NamedTuple):
    """What shoppers took after a query.

    ``client``: who alone did; None where several did, or nobody knows.
    """

    query: str
    product_id: str
    credit: float
    client: str | None = None


def remembered_queries(pairs: Iterable[Taken]) -> list[str]:
    """Return the distinct queries of the pairs that have credit, sorted: those whose vectors are needed."""
    return sorted({pair.query for pair in pairs if pair.credit > 0})


class Recalled(NamedTuple):
    """What is remembered for a query: products by number, and their values above 0, the greatest first.

    Of equal values the smaller number first: numbers rise as ids do.
    """

    products: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """c / (c + H) by query and product: ``products[starts[i]:starts[i + 1]]`` are those of row i, by id.

    ``clients``: the number of the client who alone earned it, or ``_SEVERAL``.
    """

    starts: npt.NDArray[np.int64]
    products: npt.NDArray[np.int32]
    shares: Floats
    clients: npt.NDArray[np.int32]

    def summed(self, rows: Rows, weights: npt.NDArray[np.float64]) -> Recalled:
        """Return what is recalled: K is the weights of the rows times the shares of their products."""
        starts = self.starts[rows]
        lengths = self.starts[rows + 1] - starts
        firsts = np.cumsum(lengths) - lengths
        at = np.repeat(starts - firsts, lengths) + np.arange(int(lengths.sum()))
        products, own = np.unique(self.products[at], return_inverse=True)
        added = self.shares[at].astype(np.float64) * np.repeat(weights, lengths)
        sums = np.bincount(own, added, minlength=len(products))
        left = sums - _most_by_one(own, self.clients[at], added, len(products))
        values = scaled(np.maximum(left, 0.0))
        order = np.argsort(-values, kind="stable")
        order = order[values[order] > _NOTHING]
        return Recalled(products[order], values[order])


def _most_by_one(
    products: Rows, clients: npt.NDArray[np.int32], added: npt.NDArray[np.float64], count: int
) -> npt.NDArray[np.float64]:
    """Return per product the most that one client alone adds to it."""
    most = np.zeros(count)
    alone = np.flatnonzero(clients != _SEVERAL)
    if len(alone):
        keys = products[alone] * np.int64(1 << 32) + clients[alone]
        pairs, own = np.unique(keys, return_inverse=True)
        sums = np.bincount(own, added[alone], minlength=len(pairs))
        np.maximum.at(most, pairs >> 32, sums)
    return most


class QueryMemory:
    """An artefact that was written before. Immutable; calls may come from several threads."""

    def __init__(self, arrays: MappedArrays) -> None:
        found = arrays.arrays
        self.digest = arrays.digest
        self.model_sha256 = str(arrays.facts["model_sha256"])
        self.queries = len(found["text_norms"])
        self.dim = int(found["list_centroids"].shape[1])
        self._vectors = VectorLists.of(found)
        self._characters = CharacterIndex.of(found)
        self._ids = _texts(found["id_bytes"], found["id_ends"])
        self.prior = dict(zip(self._ids, found["product_priors"].tolist(), strict=True))
        self._shares = Shares(
            found["share_starts"],
            found["share_products"],
            found["share_values"],
            found["share_clients"],
        )

    @classmethod
    def load(cls, folder: Path, *, sha256: str | None = None, contents: bool = True) -> "QueryMemory":
        """Map what ``write_memory`` wrote; processes of a machine share its pages.

        ``sha256``: its digest; ``contents``: also read all of it once to see that nothing is damaged. Raises
        ``ArtefactError``.
        """
        arrays = MappedArrays.open(folder, FORMAT, sha256=sha256, contents=contents)
        try:
            return cls(arrays)
        except (KeyError, IndexError, UnicodeDecodeError) as error:
            raise ArtefactError(f"{folder} lacks what a memory holds: {error!r}") from error

    def values(self, queries: Sequence[str], vectors: Floats) -> list[dict[str, float]]:
        """Return per query the products with a value above 0, the greatest first, ties by id.

        ``vectors`` (n, dim) are unit rows.
        """
        both = zip(queries, vectors, strict=True)
        return [self.named(self.recalled(query, vector)) for query, vector in both]

    def named(self, recalled: Recalled) -> dict[str, float]:
        """Return values by id, in their order."""
        ids = [self._ids[product] for product in recalled.products.tolist()]
        return dict(zip(ids, recalled.values.tolist(), strict=True))

    def exact_values(self, queries: Sequence[str], vectors: Floats) -> list[dict[str, float]]:
        """Return what ``values`` would if its indexes missed none of the nearest: slow, to compare with."""
        everything, found = np.arange(self.queries, dtype=np.int64), []
        for query, vector in zip(queries, vectors, strict=True):
            written = self._characters.read(query)
            by_vector = best(everything, self._vectors.cosines(vector, everything), NEAREST)
            by_characters = best(everything, self._characters.similarities(written, everything), NEAREST)
            found.append(self.named(self._valued(written, vector, np.union1d(by_vector, by_characters))))
        return found

    def recalled(self, query: str, vector: Floats) -> Recalled:
        """Return what ``values`` says of one query, in few bytes; ``vector`` (dim,)."""
        written = self._characters.read(query)
        by_vector = self._vectors.nearest(vector, NEAREST)
        either = np.sort(np.concatenate([by_vector, self._characters.nearest(written, NEAREST)]))
        # ``union1d`` takes three times as long
        return self._valued(written, vector, either[np.diff(either, prepend=-1) > 0])

    def _valued(self, written: Written, vector: Floats, rows: Rows) -> Recalled:
        alike = self._characters.similarities(written, rows) + self._vectors.cosines(vector, rows)
        return self._shares.summed(rows, weight(alike / np.float32(2)))


def weight(similarity: Floats) -> npt.NDArray[np.float64]:
    """Return how much an earlier query counts that is so alike; 1 for the same one, never more."""
    found: npt.NDArray[np.float64] = np.exp(
        (np.minimum(similarity, 1.0).astype(np.float64) - 1) / TEMPERATURE
    )
    return found


def scaled(kernel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the value of a product with so much K: 0 for none, 1 for K = 1."""
    found: npt.NDArray[np.float64] = np.log1p(SCALE * kernel) / np.log1p(SCALE)
    return found


def write_memory(
    folder: Path, pairs: Iterable[Taken], queries: Sequence[str], vectors: Floats, *, model_sha256: str
) -> str:
    """Write the memory of ``pairs``, each given once, into a new folder; return its digest.

    ``queries`` as ``remembered_queries`` says them, ``vectors`` (n, dim) their unit rows by the encoder
    ``model_sha256``. A pair without credit is left out. The same input gives the same digest, in whatever
    order the pairs come. Raises ``ValueError`` for vectors of other queries, or a pair that comes twice.
    """
    taken = sorted(pair for pair in pairs if pair.credit > 0)
    if list(queries) != remembered_queries(taken) or vectors.shape[:1] != (len(queries),):
        raise ValueError(
            f"the memory needs the vectors of its own queries, sorted: {len(queries)} queries with vectors "
            f"of shape {vectors.shape} were given for pairs of {len(remembered_queries(taken))} queries"
        )
    products = sorted({pair.product_id for pair in taken})
    ids, ends = _bytes(products)
    arrays: dict[str, npt.NDArray[Any]] = {
        **build_lists(np.ascontiguousarray(vectors, dtype=np.float32)),
        **build_character_index(queries),
        **_shares(taken, products),
        "product_priors": _priors(taken, products),
        "id_bytes": ids,
        "id_ends": ends,
    }
    return write_arrays(folder, FORMAT, arrays, {"model_sha256": model_sha256, "queries": len(queries)})


def _priors(taken: Sequence[Taken], products: Sequence[str]) -> Floats:
    """Return log1p(credit) of each product over the greatest, without who adds most alone."""
    credit = dict.fromkeys(products, 0.0)
    alone: dict[str, dict[str, float]] = {product: {} for product in products}
    for pair in taken:
        credit[pair.product_id] += pair.credit
        if pair.client is not None:
            own = alone[pair.product_id]
            own[pair.client] = own.get(pair.client, 0.0) + pair.credit
    left = [credit[product] - max(alone[product].values(), default=0.0) for product in products]
    logs = np.log1p(np.maximum(np.array(left), 0.0))
    priors: Floats = (logs / max(_NOTHING, float(logs.max(initial=0.0)))).astype(np.float32)
    return priors


def _shares(taken: Sequence[Taken], products: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    number = {product: n for n, product in enumerate(products)}
    client = {
        who: n for n, who in enumerate(sorted({pair.client for pair in taken if pair.client is not None}))
    }
    kept: list[Taken] = []
    counts = [0]
    for _, own in groupby(taken, key=attrgetter("query")):
        pairs = list(own)
        if any(one.product_id == other.product_id for one, other in pairwise(pairs)):
            raise ValueError(f"a pair of the query {pairs[0].query[:100]!r} is given twice")
        most = nlargest(MAX_PRODUCTS, pairs, key=attrgetter("credit"))
        kept += sorted(most)
        counts.append(len(most))
    earned = np.array([pair.credit for pair in kept], dtype=np.float64)
    alone = [_SEVERAL if pair.client is None else client[pair.client] for pair in kept]
    return {
        "share_starts": np.cumsum(counts, dtype=np.int64),
        "share_products": np.array([number[pair.product_id] for pair in kept], dtype=np.int32),
        "share_values": (earned / (earned + HALF)).astype(np.float32),
        "share_clients": np.array(alone, dtype=np.int32),
    }


def _bytes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def _texts(content: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> list[str]:
    whole = content.tobytes()
    return [whole[a:b].decode() for a, b in pairwise([0, *ends.tolist()])]
