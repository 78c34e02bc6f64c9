"""The words of the catalogue, read from the topic ``catalog`` and kept in step with it.

By language, since each generation says in which it was measured; for generations that rank by the cosine
alone without texts, so that identifiers find their products there, too. A record that
cannot be read, or that is older than what is known of its product, changes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from broker.guarding import judged
from broker.reading import open_reader
from broker.records import Record
from retrieval.catalog_record import read_product
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.products import CatalogProduct
from schemas.settings import SearcherSettings
from schemas.topics import CATALOG
from searcher.new_products import NewProducts

log = structlog.get_logger(__name__)

POLL_MS = 200
AT_ONCE = 5000


class CatalogWords:
    """Run ``follow`` as one task: it reads the catalogue once per language that is asked for."""

    def __init__(self, settings: SearcherSettings, new: NewProducts | None = None) -> None:
        """``new``: who is told of every product, too."""
        self._settings = settings
        self._new = new
        self._known: dict[str | None, tuple[WordIndex, asyncio.Event]] = {}  # None: without texts
        self._asked: asyncio.Queue[tuple[str | None] | None] = asyncio.Queue()
        self._ended = False

    async def of(self, language: str) -> WordIndex:
        """Return the words, once all is read that the topic held when it was asked first.

        What is returned while the process stops may be incomplete.
        """
        words, complete = self._held(language)
        if not self._ended:
            await complete.wait()
        return words

    def without_texts(self) -> WordIndex:
        """Return what the catalogue holds beside its texts, as far as it is read."""
        return self._held(None)[0]

    def _held(self, language: str | None) -> tuple[WordIndex, asyncio.Event]:
        if language not in self._known:
            words = WordIndex(language or "")
            words.complete = False
            self._known[language] = words, asyncio.Event()
            self._asked.put_nowait((language,))
        return self._known[language]

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set. Raises ``KafkaError`` when the broker is gone for good."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end(stopping))
            while (asked := await self._asked.get()) is not None:
                tasks.create_task(self._follow(*asked, stopping))

    async def _end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._ended = True
        self._asked.put_nowait(None)
        for _, complete in self._known.values():
            complete.set()

    async def _follow(self, language: str | None, stopping: asyncio.Event) -> None:
        words, complete = self._known[language]
        async with open_reader(self._settings, [self._settings.topic(CATALOG.name)]) as reader:
            ends = await reader.end_offsets()
            while not stopping.is_set():
                if records := await reader.poll(timeout_ms=POLL_MS, max_records=AT_ONCE):
                    await asyncio.to_thread(self._take, words, records, texts=language is not None)
                if not complete.is_set() and await reader.reached(ends):
                    log.info("the words of the catalogue are read", products=len(words))
                    words.complete = True
                    complete.set()

    def _take(self, words: WordIndex, records: Iterable[Record], *, texts: bool) -> None:
        put, gone = sorted_out(records, words.version)
        if self._new is not None:
            self._new.take(put, now_ms=time.time() * 1000)
        words.change(put if texts else [replace(document, text="", description="") for document in put], gone)


def sorted_out(
    records: Iterable[Record], version: Callable[[str], int | None]
) -> tuple[list[WordDocument], list[str]]:
    """Return what records in the order of the log put in place, and the ids that they take out.

    ``version`` says what is known of a product so far. A deletion forgets it: what is created again may begin
    at any.
    """
    newest: dict[str, WordDocument | None] = {}
    for record in records:
        if record.value is None:
            newest[(record.key or b"").decode(errors="replace")] = None
            continue
        read = judged(lambda r: read_product(r.key, r.value), record)
        if not isinstance(read, CatalogProduct):
            continue
        before = newest[read.product_id] if read.product_id in newest else version(read.product_id)
        known = before.version if isinstance(before, WordDocument) else before
        if known is None or read.version > known:
            newest[read.product_id] = WordDocument.of(read)
    put = [document for document in newest.values() if document is not None]
    return put, [product_id for product_id, document in newest.items() if document is None]
