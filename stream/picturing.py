"""Look after the pictures of the catalogue: fetch, prepare, keep, and tell intake what became of each.

A group of its own, so that slow pictures hold up nothing but pictures. Only here is a picture fetched. A
crash repeats records; what is kept already is not prepared again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from artefacts.store import ArtefactStore
from broker.consuming import open_group
from broker.guarding import judged
from broker.producing import open_producer
from broker.records import Outgoing, Record
from media.addresses import FetchRules
from media.decoder_process import DecoderProcess, DecoderStartError
from media.picture_fetching import PictureFetcher
from media.pictures import keep_picture
from media.preparation import picture_key
from schemas.products import CatalogProduct, ProductImage
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings, named
from schemas.stream_groups import pictures_group
from schemas.topics import CATALOG, PICTURES
from stream import metrics

log = structlog.get_logger(__name__)

# Storage that does not answer and a decoder that does not start are no picture's fault, and end nothing else.
_PAUSE_S = 10.0
# Looked at between two commits, at most: what a crash repeats, and what one slow host keeps waiting.
_TOGETHER = 64
_IN_TURN = 8


def fetch_rules(settings: StreamSettings) -> FetchRules:
    """Return what the settings allow."""
    return FetchRules(
        hosts=named(settings.picture_hosts),
        schemes=named(settings.picture_schemes),
        networks=named(settings.picture_networks),
    )


def together(at_once: int) -> int:
    """Return how many are looked at between two commits.

    So few that the group keeps us though each of them takes all of its time.
    """
    return min(_TOGETHER, _IN_TURN * at_once)


async def look_after_pictures(settings: StreamSettings, ready: Callable[[bool], None]) -> None:
    """Prepare the pictures of ``catalog`` until cancelled. ``ready`` hears when the group has taken us in."""
    s = settings
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(open_producer(s, role="pictures", codec="gzip"))
        group = await stack.enter_async_context(
            open_group(s, [s.topic(CATALOG.name)], pictures_group(s), fetch_wait_ms=200)
        )
        fetcher = await stack.enter_async_context(PictureFetcher(fetch_rules(s), at_once=s.picture_fetches))
        decoder = await stack.enter_async_context(DecoderProcess())
        kept = PictureKeeper(fetcher, decoder, ArtefactStore(s.artefact_address), at_once=s.picture_fetches)
        while True:
            records = await group.batch(timeout_ms=500, max_records=together(s.picture_fetches))
            ready(group.joined())
            if not records:
                await group.commit_read()
                continue
            outcomes = await asyncio.gather(*(told(p, kept) for p in to_look_at(records)))
            topic = s.topic(PICTURES.name)
            gone = [Outgoing(topic, None, key=r.key) for r in records if r.key and r.value is None]
            news = [Outgoing(topic, o.to_json(), key=o.product_id.encode()) for o in outcomes if o]
            await producer.send_all([*gone, *news])
            await group.commit(records)


class PictureKeeper:
    """From an address to a kept picture, so many at the same time."""

    def __init__(
        self, fetcher: PictureFetcher, decoder: DecoderProcess, store: ArtefactStore, *, at_once: int
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._store = store
        self._turns = asyncio.Semaphore(at_once)  # the time of a picture begins when it has its turn

    async def __call__(self, image: ProductImage) -> str | Rejection:
        """Return the key of the prepared picture, or why there is none.

        What the shop has told the sha256 of, and is kept already, is not fetched. Waits for storage.
        """
        while True:
            try:
                return await self._kept(image)
            except (OSError, DecoderStartError) as error:
                log.error("pictures wait", reason=str(error))  # noqa: TRY400 (said again and again)
                await asyncio.sleep(_PAUSE_S)

    async def _kept(self, image: ProductImage) -> str | Rejection:
        if image.sha256 is not None:
            key = picture_key(image.sha256)
            if await asyncio.to_thread(self._store.has, key):
                return key
        async with self._turns:
            original = await self._fetcher.fetch(image.uri)
            if isinstance(original, Rejection):
                return original
            return await keep_picture(original, self._store, self._decoder.prepare)


def to_look_at(records: Sequence[Record]) -> list[CatalogProduct]:
    """Return the products whose picture is to be looked at, each once, as its newest record has it."""
    newest = {record.key: record for record in records}
    found = [judged(_read, record) for record in newest.values() if record.value is not None]
    return [
        p for p in found if isinstance(p, CatalogProduct) and p.image is not None and p.image_of != p.place
    ]


async def told(
    product: CatalogProduct, kept: Callable[[ProductImage], Awaitable[str | Rejection]]
) -> CatalogProduct | None:
    """Return the product with what became of its picture; None where that changes nothing.

    A picture that cannot be fetched now, from the address that it once came from, stays.
    """
    assert product.image is not None
    found = await kept(product.image)
    if isinstance(found, Rejection):
        metrics.PICTURES.labels(found.reason.value).inc()
        key = product.image_key if found.reason == Reason.IMAGE_FETCH else None
        return product.model_copy(
            update={"image_key": key, "image_problem": found.reason, "image_of": product.place}
        )
    metrics.PICTURES.labels("unchanged" if found == product.image_key else "prepared").inc()
    if found == product.image_key and product.image_problem is None:
        return None
    return product.model_copy(update={"image_key": found, "image_problem": None, "image_of": product.place})


def _read(record: Record) -> CatalogProduct:
    return CatalogProduct.from_json(record.value or b"")
