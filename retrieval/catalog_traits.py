"""Which products of the catalogue have which traits, asked of the index that also holds their words.

Calls block for milliseconds.
"""

from collections.abc import Iterable, Sequence

from retrieval.filters import as_written
from retrieval.traits import Traits, same_field, tag
from retrieval.word_schema import all_that_meet, kept_traits, one_of, tagged
from retrieval.words import WordIndex
from schemas.search import Filter

_GROWN = 100  # products that may have come since they were counted


class CatalogTraits:
    """The traits of a catalogue that changes. May be shared by threads."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    @property
    def complete(self) -> bool:
        """Whether the catalogue was read to its end; before that nothing of it is known for certain."""
        return self._words.complete

    def as_written(self, filters: Sequence[Filter]) -> list[Filter]:
        """Return filters on columns of the index with each text in every spelling of the catalogue."""
        return as_written(filters, self._words.spellings.of)

    def count(self, filters: Sequence[Filter]) -> int:
        """Return how many products meet the filters. Raises ``FilterError``."""
        found = self._words.searcher().search(all_that_meet(filters), limit=1, count=True)
        return int(found.count)  # type: ignore[attr-defined] # its stubs lack it

    def meeting(self, filters: Sequence[Filter]) -> list[str]:
        """Return the products that meet the filters, in no order. Raises ``FilterError``."""
        return list(self._words.found(all_that_meet(filters), self.count(filters) + _GROWN))

    def among(self, product_ids: Iterable[str], filters: Sequence[Filter]) -> set[str]:
        """Return those of the products that meet the filters. Raises ``FilterError``."""
        return self._words.meeting(product_ids, filters)

    def has(self, field: str) -> bool:
        """Say whether a product has this trait."""
        wanted = tagged([tag(same_field(field))])
        return bool(self._words.searcher().search(wanted, limit=1, count=False).hits)

    def of(self, product_ids: Iterable[str]) -> dict[str, Traits]:
        """Return the traits of those of the products that are there."""
        asked = list(product_ids)
        if not asked:
            return {}
        searcher = self._words.searcher()
        hits = searcher.search(one_of(asked), limit=len(asked) + 1, count=False).hits
        addresses = [address for _, address in hits]
        numbers = searcher.fast_field_values("number", addresses)
        seen = searcher.fast_field_values("first_seen_ms", addresses)
        found = {}
        for address, number, at in zip(addresses, numbers, seen, strict=True):
            product_id = self._words.id_of(int(number or 0))
            if product_id is not None:
                kept = searcher.doc(address)["traits"]
                found[product_id] = kept_traits(kept[0] if kept else None, None if at is None else int(at))
        return found
