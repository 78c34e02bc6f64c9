"""The data of one run, as files.

``pairs`` and ``catalog`` as they were at one moment, and a manifest that says which moment. ``pairs`` is
long: one row per query, product, day and action, integers as the stream counted them. ``clients`` has one row
per query, product and hashed client. ``catalog`` has one row per product: as ``text`` its document, which the
models read (``retrieval.document``), its top category, and what names it beside its id. Decides no weights.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from broker.by_time import written_since
from broker.guarding import judged
from broker.reading import Compacted, open_reader, read_compacted
from broker.records import Record
from retrieval.document import description_of, document_of
from retrieval.identifiers import identifiers_of
from schemas.base import UNREADABLE
from schemas.bounds import FIRST_YEAR, LAST_YEAR
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.rejections import Rejection
from schemas.releases import LivePointer
from schemas.settings import TrainerSettings
from schemas.topics import CATALOG, ERASURES, INTERACTIONS, PAIRS, PRODUCTS, SEARCHES, dead_letter_name

F = TypeVar("F")
PAIR_SCHEMA = pl.Schema(
    {
        "query": pl.String,
        "product_id": pl.String,
        "day": pl.Int32,
        "action": pl.String,
        "credit": pl.Int64,
        "units": pl.Int64,
        "revenue_minor": pl.Int64,
    }
)
CLIENT_SCHEMA = pl.Schema(
    {"query": pl.String, "product_id": pl.String, "client": pl.String, "credit": pl.Int64}
)
CATALOG_SCHEMA = pl.Schema({"product_id": pl.String, "title": pl.String, "text": pl.String})
MAX_SUM = 1 << 43  # 88 billion units of money on one day; the column holds a million of them
_EPOCH = date(1970, 1, 1)
FIRST_DAY, LAST_DAY = (date(FIRST_YEAR, 1, 1) - _EPOCH).days, (date(LAST_YEAR, 12, 31) - _EPOCH).days
# An event may be dated ahead of the clock by minutes, and clocks differ; no honest row is of a later day
DAYS_AHEAD = 2
LATELY = timedelta(days=7)  # by Kafka's time of the records; what is older holds up no verdict
FORGETTING_S = 600.0  # for so long after a request to forget, pairs may still be losing the shopper
RAW = (SEARCHES.name, INTERACTIONS.name, PRODUCTS.name)
# What says where a run came from and what carries it out, and nothing of what it does.
_PLACES = {"kafka", "milvus", "data_dir", "http_host", "http_port", "log_level", "log_json"}
_PLACES |= {"job_template", "job_api", "job_account", "job_start_timeout"}


@dataclass(frozen=True)
class Snapshot:
    """The three frames, each sorted by its keys."""

    pairs: pl.DataFrame
    clients: pl.DataFrame
    catalog: pl.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Snapshot":
        """Read what ``write`` wrote."""
        return cls(*(pl.read_parquet(folder / f"{name}.parquet") for name in ("pairs", "clients", "catalog")))

    def write(self, folder: Path) -> dict[str, str]:
        """Write one Parquet file per frame; return the sha256 of each file by its name."""
        digests = {}
        for name, frame in (("pairs", self.pairs), ("clients", self.clients), ("catalog", self.catalog)):
            path = folder / f"{name}.parquet"
            frame.write_parquet(path)
            digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return digests


class Manifest(BaseModel):
    """Which moment a snapshot is of.

    ``offsets`` are next offsets per topic and partition; ``live`` is what served then. ``received`` and
    ``refused`` count what came to the raw topics and their dead letters in the last ``LATELY`` before the
    snapshot. ``newest_at`` is when the newest of the pairs was written. ``unreadable`` counts records that
    are no fact or lie under another's key, and rows of days that cannot be. ``followed``: per partition, the
    first of the requests to forget that the pairs may not follow yet.
    """

    model_config = ConfigDict(frozen=True)

    offsets: dict[str, dict[int, int]]
    pairs: int
    queries: int
    products: int
    rows: int
    unreadable: int
    files: dict[str, str]
    settings_sha256: str
    sha256: str
    live: LivePointer
    received: int | None = None
    refused: int | None = None
    newest_at: datetime | None = None
    followed: dict[int, int] | None = None


def last_day(now: datetime) -> int:
    """Return the latest day that a row may be of.

    A later one would be the newest of all, and the days of truth too old to be a test.
    """
    return (now.date() - _EPOCH).days + DAYS_AHEAD


def frames(pairs: Iterable[Pair], products: Iterable[CatalogProduct], *, until: int = LAST_DAY) -> Snapshot:
    """Return messages as frames, rows up to the day ``until``.

    No pairs or products give empty frames of the same columns.
    """
    rows: list[tuple[str, str, int, str, int, int, int]] = []
    clients: list[tuple[str, str, str, int]] = []
    for pair in pairs:
        for day, actions in pair.days.items():
            if FIRST_DAY <= day <= until:
                rows += [
                    (
                        pair.query,
                        pair.product_id,
                        day,
                        action.value,
                        _bounded(credit),
                        _bounded(units),
                        _bounded(money),
                    )
                    for action, (credit, units, money) in actions.items()
                ]
        clients += [
            (pair.query, pair.product_id, client, _bounded(credit)) for client, credit in pair.clients.items()
        ]
    catalog = [
        (
            p.product_id,
            p.title,
            document_of(p),
            p.category_path[0] if p.category_path else "",
            identifiers_of(p),
            description_of(p),
        )
        for p in products
    ]
    return Snapshot(
        pl.DataFrame(rows, schema=PAIR_SCHEMA, orient="row").sort("query", "product_id", "day", "action"),
        pl.DataFrame(clients, schema=CLIENT_SCHEMA, orient="row").sort("query", "product_id", "client"),
        pl.DataFrame(
            catalog,
            schema={
                **CATALOG_SCHEMA,
                "category": pl.String,
                "identifiers": pl.List(pl.String),
                "description": pl.String,
            },
            orient="row",
        ).sort("product_id"),
    )


def _bounded(total: int) -> int:
    """Bound a sum that hostile orders drove beyond what the column holds."""
    return max(-MAX_SUM, min(MAX_SUM, total))


def settings_digest(settings: TrainerSettings) -> str:
    """Return the sha256 of the settings that decide what a run computes."""
    return hashlib.sha256(settings.model_dump_json(exclude=_PLACES).encode()).hexdigest()


def take(settings: TrainerSettings, folder: Path, live: LivePointer) -> Manifest:
    """Read both topics to the ends they have now and write them into ``folder``, which must be empty."""
    followed = asyncio.run(_followed(settings, datetime.now(UTC)))
    pairs, catalog, received, refused = asyncio.run(_read(settings))
    manifest = keep(pairs, catalog, folder, settings=settings, live=live, now=datetime.now(UTC))
    return manifest.model_copy(update={"received": received, "refused": refused, "followed": followed})


def may_name_forgotten(settings: TrainerSettings, manifest: Manifest) -> bool:
    """Say whether the snapshot may hold a shopper whom somebody has asked to forget by now.

    One of an earlier version may.
    """
    return manifest.followed is None or asyncio.run(_asked_since(settings, manifest.followed))


async def _followed(settings: TrainerSettings, now: datetime) -> dict[int, int]:
    since = now - timedelta(seconds=FORGETTING_S)
    found = await written_since(settings, [settings.topic(ERASURES.name)], since)
    return {partition: offsets.start for (_, partition), offsets in found.items()}


async def _asked_since(settings: TrainerSettings, followed: Mapping[int, int]) -> bool:
    async with open_reader(settings, [settings.topic(ERASURES.name)], start="end") as reader:
        ends = await reader.end_offsets()
    return any(end != followed.get(partition, 0) for (_, partition), end in ends.items())


def keep(
    pairs: Compacted,
    catalog: Compacted,
    folder: Path,
    *,
    settings: TrainerSettings,
    live: LivePointer,
    now: datetime,
) -> Manifest:
    """Write both topics, as they were read, into ``folder``.

    Anybody may write to them: no time and no day is believed beyond ``now``.
    """
    newest = min(
        max((record.timestamp_ms for record in pairs.records.values()), default=0),
        int(now.timestamp() * 1000),
    )
    found, products = (
        _parsed(Pair.from_json, _pair_key, pairs),
        _parsed(CatalogProduct.from_json, _product_key, catalog),
    )
    snapshot = frames(found, products, until=last_day(now))
    files = snapshot.write(folder)
    rows = sum(len(actions) for pair in found for actions in pair.days.values())
    unread = len(pairs.records) + len(catalog.records) - len(found) - len(products)
    return Manifest(
        offsets={PAIRS.name: pairs.offsets, CATALOG.name: catalog.offsets},
        pairs=snapshot.pairs.select("query", "product_id").n_unique() if snapshot.pairs.height else 0,
        queries=snapshot.pairs["query"].n_unique(),
        products=snapshot.catalog.height,
        rows=snapshot.pairs.height,
        unreadable=unread + rows - snapshot.pairs.height,
        files=files,
        settings_sha256=settings_digest(settings),
        sha256=hashlib.sha256("\n".join(f"{n} {d}" for n, d in sorted(files.items())).encode()).hexdigest(),
        live=live,
        newest_at=datetime.fromtimestamp(newest / 1000, UTC) if newest > 0 else None,
    )


async def _read(settings: TrainerSettings) -> tuple[Compacted, Compacted, int, int]:
    since = datetime.now(UTC) - LATELY
    counts = [
        await _written(settings, names, since) for names in (RAW, [dead_letter_name(name) for name in RAW])
    ]
    pairs = await read_compacted(settings, settings.topic(PAIRS.name))
    return pairs, await read_compacted(settings, settings.topic(CATALOG.name)), counts[0], counts[1]


async def _written(settings: TrainerSettings, names: Iterable[str], since: datetime) -> int:
    written = await written_since(settings, [settings.topic(name) for name in names], since)
    return sum(len(offsets) for offsets in written.values())


def _parsed(parse: Callable[[bytes], F], key_of: Callable[[F], bytes], topic: Compacted) -> list[F]:
    found = (judged(partial(_fact, parse, key_of), record) for record in topic.records.values())
    return [fact for fact in found if fact is not None and not isinstance(fact, Rejection)]


def _fact(parse: Callable[[bytes], F], key_of: Callable[[F], bytes], record: Record) -> F | None:
    """Return what a record says.

    None when it cannot be read, or lies under another's key and would count twice.
    """
    try:
        fact = parse(record.value or b"")
    except UNREADABLE:
        return None
    return fact if record.key == key_of(fact) else None


def _pair_key(pair: Pair) -> bytes:
    return pair_key(pair.query, pair.product_id)


def _product_key(product: CatalogProduct) -> bytes:
    return product.product_id.encode()
