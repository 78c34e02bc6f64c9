"""Words and characters of the texts of a catalogue that changes, in memory (``tantivy``).

The words of a text depend on the language alone, so training, evaluation and serving count the same ones.
Their value is BM25 (k1 1.2, b .75) divided by the query's greatest over the entire index: from 0 to 1,
whatever is filtered and however many are asked for; that of the characters is said in ``characters``. It
knows no model, no Milvus and no Kafka.
"""

import hashlib
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import tantivy
from tantivy import Occur, Query

from retrieval.characters import LEADING, Characters, NgramCounts, ngram_counts
from retrieval.coverage import Coverage, Wanted
from retrieval.filters import TEXTS
from retrieval.identifiers import spellings
from retrieval.spellings import Spellings
from retrieval.word_schema import (
    SCHEMA,
    Entered,
    WordDocument,
    any_of,
    both,
    named,
    narrowed,
    one_of,
    tantivy_document,
)
from schemas.search import Filter

ANALYSIS = 1  # rises with every change of what the words or the character n-grams of a text are
LANGUAGES = frozenset(
    {
        "danish",
        "dutch",
        "english",
        "finnish",
        "french",
        "german",
        "hungarian",
        "italian",
        "norwegian",
        "portuguese",
        "russian",
        "spanish",
        "swedish",
    }
)
MOST_WORDS = 64  # of a query
MOST_TIES = 200  # at the last place, from which the smaller ids are taken
LOOKED_AT = 250  # products whose BM25 is read at once
NAMESAKES = 50  # what more products share names none of them
SEARCH_S = 30.0  # no search lasts longer
_HEAP_BYTES = 16 << 20
_LONGEST = 80
# Scripts without spaces between words: Thai, Japanese, Chinese
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def analysis_digest(language: str) -> str:
    """Return the sha256 of how texts become words: two indexes of one digest give one text the same words."""
    return hashlib.sha256(f"{ANALYSIS}/{language}".encode()).hexdigest()


def _spaced(text: str) -> str:
    """Return the text case-folded, each run of a script without spaces as its overlapping pairs."""

    def pairs(run: re.Match[str]) -> str:
        found = run[0]
        return f" {' '.join(found[i : i + 2] for i in range(max(1, len(found) - 1)))} "

    return _UNSPACED.sub(pairs, text.casefold())


@lru_cache
def _analyser(language: str) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"\w+")).filter(
        tantivy.Filter.remove_long(_LONGEST)
    )
    if language in LANGUAGES:
        builder = builder.filter(tantivy.Filter.stopword(language)).filter(tantivy.Filter.stemmer(language))
    return builder.build()


def words_of(text: str, language: str) -> list[str]:
    """Return the words of a text in their order: stemmed, without stop words, where the language is known.

    >>> words_of("The running shoes, size 9", "english")
    ['run', 'shoe', 'size', '9']
    """
    return list(_analyser(language).analyze(_spaced(text)))


class WordIndex:
    """Searchable at once after each ``change``. May be shared by threads; one writer at a time."""

    def __init__(self, language: str) -> None:
        """``language``: one of ``LANGUAGES``; another has no stemmer and no stop words."""
        self.language = language
        self.complete = True  # whoever reads the catalogue says so until it is read
        self._index = tantivy.Index(SCHEMA)
        self._index.register_tokenizer("words", _analyser(language))
        self._index.register_tokenizer(
            "apart", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        )
        self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._ids: dict[int, str] = {}
        self._left: deque[tuple[float, list[int]]] = deque()
        self._next = 0
        self.spellings = Spellings()
        self.characters = Characters(self._texts)
        self.coverage = Coverage(self._texts, lambda text: words_of(text, language))

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, product_id: str) -> bool:
        return product_id in self._numbers

    def version(self, product_id: str) -> int | None:
        """Return the version of the product's document, None for one that is not there."""
        return self._versions.get(product_id)

    def entry(self, product_id: str) -> Entered | None:
        """Return how the product stands here, None for one that is not there."""
        number, version = self._numbers.get(product_id), self._versions.get(product_id)
        return None if number is None or version is None else Entered(number, version)

    def entries(self) -> dict[str, Entered]:
        """Return how every product stands here."""
        return {i: entry for i in list(self._numbers) if (entry := self.entry(i)) is not None}

    def searcher(self) -> tantivy.Searcher:
        """Return a view of what the index holds now."""
        return self._index.searcher()

    def id_of(self, number: int) -> str | None:
        """Return the product of a document, None for one that left."""
        return self._ids.get(number)

    def change(self, documents: Iterable[WordDocument] = (), gone: Iterable[str] = ()) -> None:
        """Put documents in place of what has their ids, and take ids out.

        All of it is seen at once. Ids that are not there are ignored.
        """
        with self._lock:
            newest = {document.product_id: document for document in documents}
            out = {product_id for product_id in (*gone, *newest) if product_id in self._numbers}
            numbers = [self._numbers[product_id] for product_id in out]
            self.characters.leave(numbers)
            self.coverage.leave(numbers)
            for product_id in out:
                self._writer.delete_documents_by_term("product_id", product_id)
            put: dict[str, tuple[int, int]] = {}
            own = ngram_counts([document.text for document in newest.values()])
            for (product_id, document), grams in zip(newest.items(), own, strict=True):
                self._next += 1
                text, description = _spaced(document.text), _spaced(document.description)
                self._writer.add_document(tantivy_document(document, self._next, text, description, grams))
                put[product_id] = self._next, document.version
                for name in TEXTS:
                    self.spellings.see(name, getattr(document, name))
            self._ids |= {number: product_id for product_id, (number, _) in put.items()}
            self._writer.commit()
            self._index.reload()
            self._settle(put, out)
            self.characters.enter({put[i][0]: grams for i, grams in zip(newest, own, strict=True)})
            self.coverage.enter({put[i][0]: document.text[:LEADING] for i, document in newest.items()})

    def _settle(self, put: Mapping[str, tuple[int, int]], out: Iterable[str]) -> None:
        """Let searches know what the index holds now.

        A search that began before may still find what left: its numbers are let go ``SEARCH_S`` later.
        """
        now = time.monotonic()
        while self._left and self._left[0][0] < now - SEARCH_S:
            for number in self._left.popleft()[1]:
                self._ids.pop(number, None)
        self._left.append((now, [self._numbers.pop(product_id) for product_id in out]))
        for product_id, (number, version) in put.items():
            self._numbers[product_id], self._versions[product_id] = number, version
        for product_id in set(out) - put.keys():
            self._versions.pop(product_id, None)

    def best(self, query: str, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:
        """Return the value of at most k products that share a word with the query and meet the filters.

        The greatest first, ties by id. Raises ``FilterError``.
        """
        return self.ask(query).best(k, filters)

    def values(self, query: str, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those that share no word with the query are left out."""
        return self.ask(query).values(product_ids)

    def ask(self, query: str, vector: object = None) -> "WordOpinion":  # noqa: ARG002 (words have none)
        """Return what the words say of a query."""
        return self.opinion("text", query)

    def opinion(self, field: str, query: str) -> "WordOpinion":
        """Return what the words of a field say of a query: ``text`` or ``description``."""
        words = words_of(query, self.language)[:MOST_WORDS]
        return WordOpinion(self, any_of(field, words, "freq") if words else None)

    def alike(self, query: NgramCounts, k: int, filters: Sequence[Filter] = ()) -> list[str]:
        """Return at most k products that meet the filters and share rare n-grams with the query, best first.

        Raises ``FilterError``.
        """
        terms = self.characters.rarest(query)
        conditions = narrowed(filters)
        return list(self.found(both(any_of("characters", terms, "basic"), conditions), k)) if terms else []

    def likeness(self, query: NgramCounts, product_ids: Iterable[str]) -> dict[str, float]:
        """Return how alike query and products are written, from 0 to 1; 0 is left out."""
        number = {n: i for i in product_ids if (n := self._numbers.get(i)) is not None}
        return {number[n]: value for n, value in self.characters.values(query, list(number)).items()}

    def covered(self, wanted: Wanted, product_ids: Iterable[str]) -> dict[str, float]:
        """Return how much of what a query asks for stands in the products, from 0 to 1; 0 is left out."""
        number = {n: i for i in product_ids if (n := self._numbers.get(i)) is not None}
        return {number[n]: value for n, value in self.coverage.values(wanted, list(number)).items()}

    def named(self, query: str) -> dict[str, float]:
        """Return the products that a query names by an identifier: 1 as written, .5 spelt otherwise."""
        terms = spellings(query)
        found = self.found(named(terms), NAMESAKES + 1) if terms else {}
        return found if len(found) <= NAMESAKES else {}

    def _texts(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the leading texts of documents that are there."""
        ids = [i for number in numbers if (i := self._ids.get(number)) is not None]
        if not ids:
            return {}
        searcher = self._index.searcher()
        hits = searcher.search(one_of(ids), limit=2 * len(ids), count=False).hits
        read = [searcher.doc(address) for _, address in hits]
        wanted = set(numbers)
        return {
            n: document["leading"][0].decode() for document in read if (n := document["number"][0]) in wanted
        }

    def meeting(self, product_ids: Iterable[str], filters: Sequence[Filter]) -> set[str]:
        """Return those of the products that are there and meet the filters. Raises ``FilterError``."""
        asked = list(product_ids)
        if not asked:
            return set()
        return set(self.found(both(one_of(asked), narrowed(filters)), len(asked)))

    def found(self, query: Query, k: int) -> dict[str, float]:
        """Return BM25 of at most k products, the greatest first, ties by id."""
        hits = self.hits(query, k + 1)
        if len(hits) > k > 0 and hits[-1][1] == hits[k - 1][1]:
            hits = self.hits(query, k + MOST_TIES)
        return first(hits, k)

    def hits(self, query: Query, k: int) -> list[tuple[str | None, float]]:
        """Return the k products with the greatest BM25, ties in any order; None stands for one that has left.

        Fewer than k: there are no others.
        """
        searcher = self.searcher()
        hits = searcher.search(query, limit=k, count=False).hits
        numbers = searcher.fast_field_values("number", [address for _, address in hits])
        ids = [None if n is None else self._ids.get(int(n)) for n in numbers]
        return [(i, score) for i, (score, _) in zip(ids, hits, strict=True)]

    def among(self, query: Query, product_ids: Iterable[str]) -> dict[str, float]:
        """Return BM25 of those of the products that are found."""
        asked = list(product_ids)
        return self.found(both(query, [(Occur.Must, one_of(asked))]), len(asked)) if asked else {}


class WordOpinion:
    """What the words say of one query: values by product.

    One search of the index says most of it. The others are only asked for where it found ``LOOKED_AT``.
    """

    def __init__(self, index: WordIndex, wanted: Query | None) -> None:
        """``wanted`` None: the query has no words."""
        self._index = index
        self._wanted = wanted
        self._looked: dict[str, float] | None = None
        self._more = False

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:
        """Return the value of at most k products that meet the filters, the greatest first, ties by id."""
        conditions = narrowed(filters)
        if self._wanted is None:
            return {}
        if conditions or k + MOST_TIES > LOOKED_AT:
            return self._scaled(self._index.found(both(self._wanted, conditions), k))
        return self._scaled(first(self._look(self._wanted).items(), k))

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those that share no word with the query are left out."""
        if self._wanted is None:
            return {}
        looked, asked = self._look(self._wanted), set(product_ids)
        found = {i: looked[i] for i in asked & looked.keys()}
        others = asked - looked.keys() if self._more else ()
        return self._scaled(found | self._index.among(self._wanted, others))

    def _look(self, wanted: Query) -> dict[str, float]:
        """Return the greatest BM25 of all, and note whether there are more; the greatest first."""
        if self._looked is None:
            hits = self._index.hits(wanted, LOOKED_AT)
            self._more = len(hits) == LOOKED_AT
            self._looked = {i: score for i, score in hits if i is not None}
        return self._looked

    def _scaled(self, found: Mapping[str, float]) -> dict[str, float]:
        if not found or self._wanted is None:
            return {}
        greatest = next(iter(self._look(self._wanted).values()), 0.0)
        return {i: score / greatest for i, score in found.items()} if greatest > 0 else {}


def first(hits: Iterable[tuple[str | None, float]], k: int) -> dict[str, float]:
    """Return at most k of the hits, the greatest first, ties by id."""
    known = [(i, score) for i, score in hits if i is not None]
    return dict(sorted(known, key=lambda one: (-one[1], one[0]))[:k])


class DescriptionSource:
    """Which words of a query stand in the descriptions of the catalogue."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    def ask(self, query: str, vector: object = None) -> WordOpinion:  # noqa: ARG002 (words have none)
        """Return what they say of a query."""
        return self._words.opinion("description", query)


class CharacterSource:
    """How alike a query and the texts of the catalogue are written."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    def ask(self, query: str, vector: object = None) -> "CharacterOpinion":  # noqa: ARG002 (see words)
        """Return what the characters of a query say."""
        (own,) = ngram_counts([query])
        return CharacterOpinion(self._words, own)


class CharacterOpinion:
    """What the characters of one query say: values by product."""

    def __init__(self, words: WordIndex, query: NgramCounts) -> None:
        self._words = words
        self._query = query

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:
        """Return the value of at most k products that meet the filters, the greatest first, ties by id."""
        found = self.values(self._words.alike(self._query, k, filters))
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        """Return the value of these products; those that share nothing with the query are left out."""
        return self._words.likeness(self._query, product_ids)
