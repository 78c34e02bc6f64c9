"""What the parts of a score come from; here, what shoppers did: memory of earlier queries, and popularity.

Both read one artefact (``query_memory``). Filters are asked of the catalogue's words, which hold the fields.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np

from retrieval.coverage_source import CoverageSource
from retrieval.mapped_arrays import ArtefactError, artefact_folder
from retrieval.query_memory import QueryMemory, Recalled
from retrieval.ranker import Ranker
from retrieval.ranking import (
    CHARACTERS,
    COVERAGE,
    DESCRIPTION,
    IDENTIFIER,
    MEMORY,
    PRIOR,
    RANKER,
    WORDS,
    Source,
    Vector,
    weighed,
)
from retrieval.words import CharacterSource, DescriptionSource, WordIndex
from schemas.releases import Ranking
from schemas.search import Filter

AT_ONCE = 300


def sources_of(
    ranking: Ranking, words: WordIndex | None, *, model_sha256: str, remembered: int = 0
) -> dict[str, Source]:
    """Return what the parts that a ranking weighs come from, and those that always count.

    ``words``: those of the catalogue; for the cosine alone they need no texts, and None gives nothing.
    ``remembered``: see ``MemorySource``. Raises ``ArtefactError`` when memory or ranker are not there,
    damaged, or of another model.
    """
    if words is None:
        return {}
    sources: dict[str, Source] = {IDENTIFIER: IdentifierSource(words)}
    if not weighed(ranking):
        return sources
    sources |= {
        WORDS: words,
        COVERAGE: CoverageSource(words),
        DESCRIPTION: DescriptionSource(words),
        CHARACTERS: CharacterSource(words),
    }
    if {MEMORY, PRIOR} & set(weighed(ranking)):
        path, digest = ranking.artefacts.get(MEMORY, ("", ""))
        memory = QueryMemory.load(artefact_folder(path), sha256=digest)
        if memory.model_sha256 != model_sha256:
            raise ArtefactError(f"the memory in {path} is of another model")
        sources |= {MEMORY: MemorySource(memory, words, remembered), PRIOR: PriorSource(memory)}
    return with_ranker(sources, ranking)


def with_ranker(sources: Mapping[str, Source], ranking: Ranking) -> dict[str, Source]:
    """Return the sources with the ranker of a ranking, where it weighs one.

    Raises ``ArtefactError`` for one that is not there, damaged, or of other parts.
    """
    return {**sources, RANKER: Ranker.load(ranking)} if RANKER in weighed(ranking) else dict(sources)


class IdentifierSource:
    """Which products a query names by their id, SKU or barcode."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    def ask(self, query: str, vector: Vector) -> "KnownOpinion":  # noqa: ARG002 (it is of no encoder)
        """Return which those are."""
        return KnownOpinion(self._words.named(query), self._words)


class MemorySource:
    """What shoppers took after queries like this one."""

    def __init__(self, memory: QueryMemory, words: WordIndex, remembered: int = 0) -> None:
        """``remembered``: for so many queries that are asked again what was found is held, some 6 kB each."""
        self._memory = memory
        self._words = words
        self._recalled = lru_cache(remembered)(self._recall)

    def ask(self, query: str, vector: Vector) -> "KnownOpinion":
        """Return what is remembered."""
        return KnownOpinion(self._memory.named(self._recalled(query, vector.tobytes())), self._words)

    def _recall(self, query: str, vector: bytes) -> Recalled:
        return self._memory.recalled(query, np.frombuffer(vector, dtype=np.float32))


class KnownOpinion:
    """What is known of one query before anybody asks: values by product, the greatest first, ties by id."""

    def __init__(self, found: Mapping[str, float], words: WordIndex) -> None:
        self._found = found
        self._words = words

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:
        """Return the value of at most k products that meet the filters, the greatest first, ties by id."""
        if not filters:
            return dict(islice(self._found.items(), k))
        ordered, found = list(self._found.items()), dict[str, float]()
        for start in range(0, len(ordered), AT_ONCE):  # a few hundred are asked in a millisecond
            some = dict(ordered[start : start + AT_ONCE])
            meeting = self._words.meeting(some, filters)
            found |= {i: value for i, value in some.items() if i in meeting}
            if len(found) >= k:
                break
        return dict(list(found.items())[:k])

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those without one are left out."""
        return {i: self._found[i] for i in product_ids if i in self._found}


class PriorSource:
    """How popular a product is, whatever is searched; a part that names no candidates."""

    def __init__(self, memory: QueryMemory) -> None:
        self._memory = memory

    def ask(self, query: str, vector: Vector) -> "PriorSource":  # noqa: ARG002 (nothing of it counts)
        """Return itself: it says the same of every query."""
        return self

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:  # noqa: ARG002 (see above)
        """Return nothing."""
        return {}

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those without credit are left out."""
        prior = self._memory.prior
        return {i: prior[i] for i in product_ids if i in prior}
