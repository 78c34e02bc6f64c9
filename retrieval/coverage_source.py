"""The part ``coverage`` of a score: how much of what a query asks for stands in the texts (``coverage``)."""

from collections.abc import Iterable, Sequence

from retrieval.coverage import Wanted
from retrieval.word_schema import any_of, both, narrowed
from retrieval.words import WordIndex
from schemas.search import Filter


class CoverageSource:
    """How much of a query stands in the texts of the catalogue."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    def ask(self, query: str, vector: object = None) -> "CoverageOpinion":  # noqa: ARG002 (it is of no encoder)
        """Return what that says of a query."""
        return CoverageOpinion(self._words, self._words.coverage.wanted(query))


class CoverageOpinion:
    """How much of one query stands in them: values by product."""

    def __init__(self, words: WordIndex, wanted: Wanted) -> None:
        self._words = words
        self._wanted = wanted

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:
        """Return the value of at most k products that meet the filters, the greatest first, ties by id.

        None where a query is only to be read as it is written: ``words`` name those.
        """
        if not self._wanted.otherwise:
            return {}
        wanted = any_of("text", sorted(self._wanted.words), "freq")
        found = self.values(self._words.found(both(wanted, narrowed(filters)), k))
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those that have nothing of it are left out."""
        return self._words.covered(self._wanted, product_ids)
