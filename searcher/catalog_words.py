"""The words of the catalogue, read from the topic ``catalog`` and kept in step with it.

By language, since each generation says in which it was measured; a searcher whose generations rank by the
cosine alone reads nothing. A record that cannot be read, or that is older than what is known of its product,
changes nothing.
"""

import asyncio
from collections.abc import Callable, Iterable

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

log = structlog.get_logger(__name__)

POLL_MS = 200
AT_ONCE = 5000


class CatalogWords:
    """Run ``follow`` as one task: it reads the catalogue once per language that is asked for."""

    def __init__(self, settings: SearcherSettings) -> None:
        self._settings = settings
        self._known: dict[str, tuple[WordIndex, asyncio.Event]] = {}
        self._asked: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = False

    async def of(self, language: str) -> WordIndex:
        """Return the words, once all is read that the topic held when it was asked first.

        What is returned while the process stops may be incomplete.
        """
        if language not in self._known:
            self._known[language] = WordIndex(language), asyncio.Event()
            self._asked.put_nowait(language)
        words, complete = self._known[language]
        if not self._ended:
            await complete.wait()
        return words

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set. Raises ``KafkaError`` when the broker is gone for good."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end(stopping))
            while (language := await self._asked.get()) is not None:
                tasks.create_task(self._follow(*self._known[language], stopping))

    async def _end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._ended = True
        self._asked.put_nowait(None)
        for _, complete in self._known.values():
            complete.set()

    async def _follow(self, words: WordIndex, complete: asyncio.Event, stopping: asyncio.Event) -> None:
        async with open_reader(self._settings.kafka, [self._settings.topic(CATALOG.name)]) as reader:
            ends = await reader.end_offsets()
            while not stopping.is_set():
                if records := await reader.poll(timeout_ms=POLL_MS, max_records=AT_ONCE):
                    await asyncio.to_thread(words.change, *sorted_out(records, words.version))
                if not complete.is_set() and await reader.reached(ends):
                    log.info("the words of the catalogue are read", products=len(words))
                    complete.set()


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
