"""Reading what the topics say: runs, releases, the live pointer, decisions, pairs. Nothing here writes."""

from broker.reading import open_reader, read_compacted
from schemas.pairs import Pair
from schemas.products import CatalogProduct
from schemas.releases import LivePointer, Release
from schemas.settings import Settings
from schemas.training import Decision, TrainingRun


async def read_runs(settings: Settings) -> list[TrainingRun]:
    """Return every run, oldest first."""
    state = await read_compacted(settings.kafka, settings.topic("training-runs"))
    runs = [TrainingRun.from_json(r.value) for r in state.records.values() if r.value]
    return sorted(runs, key=lambda r: r.run_id)


async def read_releases(settings: Settings) -> tuple[LivePointer | None, list[Release]]:
    """Return the live pointer of the deployment, if there is one, and every generation in order."""
    state = await read_compacted(settings.kafka, settings.topic("releases"))
    pointer = state.records.get(settings.deployment.encode())
    releases = [Release.from_json(r.value) for key, r in state.records.items() if key.startswith(b"generation:") and r.value]
    live = LivePointer.from_json(pointer.value) if pointer is not None and pointer.value else None
    return live, sorted(releases, key=lambda r: r.generation)


async def read_decisions(settings: Settings) -> list[Decision]:
    """Return every decision, in the order in which they were written."""
    decisions: list[Decision] = []
    async with open_reader(settings.kafka, [settings.topic("decisions")]) as reader:
        ends = await reader.end_offsets()
        decisions += [Decision.from_json(r.value) async for r in reader.until(ends) if r.value]
    return decisions


async def read_pairs(settings: Settings) -> list[Pair]:
    """Return every pair that holds something, in no order; what was credited and taken back leaves an empty one."""
    return [p for p in await read_all_pairs(settings) if p.days]


async def read_all_pairs(settings: Settings) -> list[Pair]:
    """Return every pair, the empty ones too."""
    state = await read_compacted(settings.kafka, settings.topic("pairs"))
    return [Pair.from_json(r.value) for r in state.records.values() if r.value]


async def read_catalog(settings: Settings) -> list[CatalogProduct]:
    """Return every product of the clean catalogue, by id."""
    state = await read_compacted(settings.kafka, settings.topic("catalog"))
    products = [CatalogProduct.from_json(r.value) for r in state.records.values() if r.value]
    return sorted(products, key=lambda p: p.product_id)
