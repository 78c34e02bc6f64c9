"""Which products exist.

A background reader of ``catalog`` that knows ids, versions and variants, and nothing else of a product.
``catch_up`` is how intake asks a question whose answer may still be on its way.
"""

import asyncio

from broker.guarding import judged
from broker.reading import Reader, open_reader
from broker.records import Record
from schemas.base import StreamFact
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from schemas.topics import CATALOG
from stream.pictured import held_picture
from stream.versions import Held


class KnownProducts:
    """The ids of the catalogue. A variant's id stands for its product."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._product_of: dict[str, str] = {}
        self._variants: dict[str, list[str]] = {}
        self._places: dict[tuple[str, int], int] = {}  # up to here all is applied, per topic and partition
        self._applied = asyncio.Condition()
        self._reader: Reader | None = None
        self._opened = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, object_id: str) -> str | None:
        """Return the product an id stands for, or None."""
        return object_id if object_id in self._held else self._product_of.get(object_id)

    def held(self, product_id: str) -> Held | None:
        """Return what the catalogue holds of a product, or None."""
        return self._held.get(product_id)

    def put(self, product_id: str, held: Held, variant_ids: list[str]) -> None:
        """Learn of a product. A version older than the known one is ignored."""
        known = self._held.get(product_id)
        if known is not None and known.version > held.version:
            return
        self._forget_variants(product_id)
        self._held[product_id] = held
        if variant_ids:
            self._variants[product_id] = variant_ids
            self._product_of.update(dict.fromkeys(variant_ids, product_id))

    def remove(self, product_id: str) -> None:
        """Learn that a product is gone."""
        self._held.pop(product_id, None)
        self._forget_variants(product_id)

    def _forget_variants(self, product_id: str) -> None:
        for variant in self._variants.pop(product_id, ()):
            if self._product_of.get(variant) == product_id:
                del self._product_of[variant]

    async def catch_up(self) -> None:
        """Return when everything that was on ``catalog`` at the time of the call is known here."""
        await self._opened.wait()
        assert self._reader is not None
        ends = await self._reader.end_offsets()
        async with self._applied:
            await self._applied.wait_for(
                lambda: all(self._places.get(tp, 0) >= end for tp, end in ends.items())
            )

    async def follow(self, settings: StreamSettings) -> None:
        """Read ``catalog`` from its beginning and then on for ever. Never returns by itself."""
        async with open_reader(settings, [settings.topic(CATALOG.name)], fetch_wait_ms=50) as reader:
            self._places = await reader.positions()
            self._reader = reader
            self._opened.set()
            while True:
                self._apply(await reader.poll(timeout_ms=500))
                places = await reader.positions()
                async with self._applied:
                    self._places = places
                    self._applied.notify_all()

    def _apply(self, records: list[Record]) -> None:
        for record in records:
            if record.key is None:
                continue
            told = judged(_told, record)
            if isinstance(told, Rejection):
                continue  # it has been logged; only intake writes here
            product_id, held, variant_ids = told
            if held is None:
                self.remove(product_id)
            else:
                self.put(product_id, held, variant_ids)


class _Image(StreamFact, frozen=True):
    uri: str
    sha256: str | None = None


class _Told(StreamFact, frozen=True):
    """What is read of a product, as ``CatalogProduct`` has it."""

    version: int
    shop_version: int | None = None
    place: tuple[int, int, int] | None = None
    first_seen_ms: int | None = None
    variant_ids: tuple[str, ...] = ()
    image: _Image | None = None
    image_key: str | None = None


def _told(record: Record) -> tuple[str, Held | None, list[str]]:
    """Return the id of a record of ``catalog``, what is held of it and the variants.

    None is held of a deletion.
    """
    product_id = (record.key or b"").decode()
    if record.value is None:
        return product_id, None, []
    told = _Told.from_json(record.value)
    picture = held_picture(told.image, told.image_key)
    held = Held(told.version, told.shop_version, told.place, picture, told.first_seen_ms)
    return product_id, held, list(told.variant_ids)
