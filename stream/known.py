"""Which products exist: a background reader of ``catalog`` that knows ids, versions and variants, and nothing else of a product.

``catch_up`` is how intake asks a question whose answer may still be on its way.
"""

import asyncio

from pydantic_core import from_json

from broker.guarding import judged
from broker.reading import Reader, open_reader
from broker.records import Record
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from schemas.topics import CATALOG


class KnownProducts:
    """The ids of the catalogue. A variant's id stands for its product."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._product_of: dict[str, str] = {}
        self._variants: dict[str, list[str]] = {}
        self._places: dict[tuple[str, int], int] = {}  # up to here all is applied, per topic and partition
        self._applied = asyncio.Condition()
        self._reader: Reader | None = None
        self._opened = asyncio.Event()

    def __len__(self) -> int:
        return len(self._versions)

    def find(self, object_id: str) -> str | None:
        """Return the product an id stands for, or None."""
        return object_id if object_id in self._versions else self._product_of.get(object_id)

    def is_stale(self, product_id: str, version: int) -> bool:
        """Say whether the catalogue holds this version of the product, or a newer one."""
        return self._versions.get(product_id, -1) >= version

    def put(self, product_id: str, version: int, variant_ids: list[str]) -> None:
        """Learn of a product. A version older than the known one is passed over."""
        if self._versions.get(product_id, -1) > version:
            return
        self._forget_variants(product_id)
        self._versions[product_id] = version
        if variant_ids:
            self._variants[product_id] = variant_ids
            self._product_of.update(dict.fromkeys(variant_ids, product_id))

    def remove(self, product_id: str) -> None:
        """Learn that a product is gone."""
        self._versions.pop(product_id, None)
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
            await self._applied.wait_for(lambda: all(self._places.get(tp, 0) >= end for tp, end in ends.items()))

    async def follow(self, settings: StreamSettings) -> None:
        """Read ``catalog`` from its beginning and then on for ever. Never returns by itself."""
        async with open_reader(settings.kafka, [settings.topic(CATALOG.name)], fetch_wait_ms=50) as reader:
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
            product_id, version, variant_ids = told
            if version is None:
                self.remove(product_id)
            else:
                self.put(product_id, version, variant_ids)


def _told(record: Record) -> tuple[str, int | None, list[str]]:
    """Return the id, the version and the variants of a record of ``catalog``; without a version it is a deletion."""
    product_id = (record.key or b"").decode()
    if record.value is None:
        return product_id, None, []
    product = from_json(record.value)
    return product_id, int(product["version"]), [str(v) for v in product.get("variant_ids", [])]
