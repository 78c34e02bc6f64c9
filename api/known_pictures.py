"""Which products have a prepared picture: read from ``catalog`` once somebody looks, and followed since.

A shop without pictures holds nothing here, and before anybody looks nothing is read.
"""

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from broker.errors import BrokerError, MissingTopicError
from broker.reading import open_reader
from broker.records import Record
from media.preparation import is_picture_key
from schemas.base import DAMAGED
from schemas.settings import Settings
from schemas.topics import CATALOG

log = structlog.get_logger(__name__)

# Of more products with a picture, those that were read first; one takes 0.3 KB.
MOST_PICTURED = 100_000
# So long who asks first waits for the catalogue to be read; after that what is read by then is what there is.
_WAIT_S = 1.0
_FETCH_BYTES = 1 << 20
# After so many records requests get their turn.
_TURN = 50
_MENTIONS = b'"image_key"'


class _Pictured(msgspec.Struct):
    image_key: str | None = None


_READ = msgspec.json.Decoder(_Pictured)


class KnownPictures:
    """Run ``run`` as one task; who asks ``of`` begins it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str, str] = {}
        self._wanted = asyncio.Event()
        self._read = asyncio.Event()

    async def of(self, product_ids: Iterable[str]) -> dict[str, str]:
        """Return the keys of their pictures, by product, of those that have one as far as is read."""
        if not self._wanted.is_set():
            self._wanted.set()
            asyncio.get_running_loop().call_later(_WAIT_S, self._read.set)
        await self._read.wait()
        return {i: self._keys[i] for i in product_ids if i in self._keys}

    def take(self, record: Record) -> None:
        """Take a record of ``catalog`` in; one that cannot be read says nothing of a picture."""
        product_id = (record.key or b"").decode(errors="replace")
        key = _key_in(record.value or b"")
        if key is None:
            self._keys.pop(product_id, None)
        elif product_id in self._keys or len(self._keys) < MOST_PICTURED:
            self._keys[product_id] = key

    async def run(self) -> None:
        """Read and follow from when somebody asks, until cancelled. A broker that is away is asked again."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except (BrokerError, MissingTopicError) as error:
                log.warning("pictures of products are not known", reason=str(error))
                self._read.set()
            self._wanted.clear()
            self._read.clear()

    async def _follow(self) -> None:
        async with open_reader(
            self._settings, [self._settings.topic(CATALOG.name)], fetch_bytes=_FETCH_BYTES
        ) as reader:
            while True:
                records = await reader.poll(timeout_ms=1000)
                for count, record in enumerate(records, start=1):
                    self.take(record)
                    if count % _TURN == 0:
                        await asyncio.sleep(0)
                if not self._read.is_set() and await reader.complete_at() is not None:
                    self._read.set()


def _key_in(value: bytes) -> str | None:
    """Return the key of the prepared picture that a product of the catalogue names."""
    if _MENTIONS not in value:  # most shops' products: not worth a parse
        return None
    try:
        key = _READ.decode(value).image_key
    except (msgspec.DecodeError, *DAMAGED):
        return None
    return key if key is not None and is_picture_key(key) else None
