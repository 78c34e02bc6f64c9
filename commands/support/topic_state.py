"""Reading what the topics say: runs, releases, the live pointer, decisions, pairs. Nothing here writes.

What cannot be read is skipped: one bad record must not hide the others from an operator.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from broker.reading import Compacted, open_reader, read_compacted
from broker.records import Record
from broker.release_log import ReleaseLog
from schemas.base import UNREADABLE
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.releases import LivePointer, Release
from schemas.settings import Settings
from schemas.training import Decision, TrainingRun

T = TypeVar("T")


async def read_runs(settings: Settings) -> list[TrainingRun]:
    """Return every run, oldest first."""
    state = await read_compacted(settings, settings.topic("training-runs"))
    runs = _readable(TrainingRun.from_json, state.records.values())
    return sorted(runs, key=lambda r: r.run_id)


async def read_releases(settings: Settings) -> tuple[LivePointer | None, list[Release]]:
    """Return the live pointer of the deployment, if there is one, and every generation in order."""
    log = await read_release_log(settings)
    return log.pointer, log.releases


async def read_release_log(settings: Settings) -> ReleaseLog:
    """Return what ``releases`` says now, to go on with from there."""
    async with open_reader(settings, [settings.topic("releases")]) as reader:
        ends = await reader.end_offsets()
        return ReleaseLog(settings.deployment, [r async for r in reader.until(ends)])


async def read_decisions(settings: Settings) -> list[Decision]:
    """Return every decision, in the order in which they were written."""
    decisions: list[Decision] = []
    async with open_reader(settings, [settings.topic("decisions")]) as reader:
        ends = await reader.end_offsets()
        decisions += _readable(Decision.from_json, [r async for r in reader.until(ends)])
    return decisions


async def read_pairs(settings: Settings, *, near: str | None = None) -> list[Pair]:
    """Return every pair that holds something, in no order.

    What was credited and taken back leaves an empty one. ``near``: only the partition in which the pairs of
    this query lie, a random part of all pairs.
    """
    return [p for p in await read_all_pairs(settings, near=near) if p.days]


async def read_all_pairs(settings: Settings, *, near: str | None = None) -> list[Pair]:
    """Return every pair, the empty ones too; ``near`` as above."""
    state = await read_compacted(settings, settings.topic("pairs"), key=near)
    return own(Pair.from_json, lambda p: pair_key(p.query, p.product_id), state)


async def read_catalog(settings: Settings) -> list[CatalogProduct]:
    """Return every product of the clean catalogue, by id."""
    state = await read_compacted(settings, settings.topic("catalog"))
    products = own(CatalogProduct.from_json, lambda p: p.product_id.encode(), state)
    return sorted(products, key=lambda p: p.product_id)


def readable(parse: Callable[[bytes], T], raw: bytes | None) -> T | None:
    """Return what the bytes say; None for none, and for what anybody else has written."""
    with suppress(*UNREADABLE):
        return parse(raw) if raw else None
    return None


def own(parse: Callable[[bytes], T], key_of: Callable[[T], bytes], state: Compacted) -> list[T]:
    """Return the facts that lie under their own keys: under another's a fact would be told twice."""
    return [
        fact
        for key, r in state.records.items()
        if (fact := readable(parse, r.value)) is not None and key_of(fact) == key
    ]


def _readable(parse: Callable[[bytes], T], records: Iterable[Record]) -> list[T]:
    return [fact for record in records if (fact := readable(parse, record.value)) is not None]
