"""A purchase changes answers with no training in between, and kill -9 changes nothing but the time.

And what the trainer fits to is what was answered then: it tells the parts of those hits from what was known.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.support.asking import ask
from commands.support.topic_state import read_releases, read_runs
from embedded.supervisor import Supervisor
from schemas.releases import LivePointer, Release
from schemas.search import SearchRequest, Status
from schemas.settings import Settings, TrainerSettings
from tests.flows.reference import Raw
from tests.flows.shop_records import products, titles
from tests.flows.turning import counts_of, feed, pairs_equal, settings_of
from tests.processes import run_cli
from tests.waiting import until
from trainer.run.folder import RunFolder, refreshes_in

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

END = datetime.now(UTC)
YESTERDAY = END - timedelta(days=1, minutes=5)
NEW, MISSPELT, BOUGHT = "quorbish plinter", "quorbsh plinter", "p055"
# What shoppers call products here: no title says so, and one wording tells of the others
SLANG = (
    "flurgh",
    "dromble",
    "snaffix",
    "quetter",
    "wobbin",
    "yarkle",
    "plimso",
    "gribbet",
    "tonsel",
    "vexham",
)
WITH = ("", "cheap", "new", "best", "small", "two", "for home", "on sale", "gift", "blue", "big", "light")
KNOWN = ("cheap flurgh", "dromble", "best snaffix for the kitchen")
OFTEN = {
    "SEARCHLOOP_REFRESH_EVERY": "PT5S",
    "SEARCHLOOP_MAX_LATENCY_RATIO": "1000",
    "SEARCHLOOP_ONNX_TOKENS": "0",  # the trainer encodes with torch
}


def bought(client: str, query: str, product: str, at: datetime, name: str) -> Iterator[Raw]:
    who = {"client_id": client, "query_id": f"q-{name}"}
    search = {"event_id": f"s-{name}", "user_query": query, "query_response_hit_ids": [product]}
    order = {"order_id": f"o-{name}", "items": [{"object_id": product, "quantity": 1, "unit_price": 9.5}]}
    purchase = order | {"event_id": f"b-{name}", "action_name": "purchase"}
    for topic, body, moment in (
        ("searches", search, at),
        ("interactions", purchase, at + timedelta(seconds=9)),
    ):
        value = json.dumps(who | body | {"timestamp": moment.isoformat()})
        yield Raw(topic, client.encode(), value.encode())


def earlier() -> Iterator[Raw]:
    """Twenty days of purchases until yesterday, each of what the shopper called by its slang."""
    ids = sorted(titles())
    for number in range(1200):
        rng = Random(number)
        slang = rng.randrange(len(SLANG))
        query = f"{rng.choice(WITH)} {SLANG[slang]}".strip()
        at = YESTERDAY - timedelta(days=20) * (1 - number / 1200)
        yield from bought(f"c{number % 300}", query, ids[slang], at, str(number))


def purchases() -> Iterator[Raw]:
    """Three shoppers, known from before, ask what nobody has asked and buy the same.

    Others ask what was asked before, and buy something else.
    """
    at = END - timedelta(minutes=2)
    for client in ("c1", "c2", "c4"):
        yield from bought(client, NEW, BOUGHT, at, f"new-{client}")
    for number, query in enumerate(KNOWN * 3):
        yield from bought(f"c{10 + number}", query, BOUGHT, at, f"late-{number}")


async def pointer_of(settings: Settings) -> LivePointer:
    live, _ = await read_releases(settings)
    assert live is not None
    return live


async def answer(settings: Settings, query: str) -> tuple[int | None, list[str]]:
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query, timeout_ms=240_000)
        response, _ = await ask(requester, settings, request)
    assert response.status is Status.OK, response
    return response.generation, [hit.product_id for hit in response.hits]


async def explained(settings: Settings, query: str, generation: int) -> dict[str, dict[str, float]]:
    """Return what each part adds to the score of each hit."""
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        request = SearchRequest(
            request_id=uuid.uuid4().hex, user_query=query, timeout_ms=240_000, explain=True
        )
        response, _ = await ask(requester, settings, request)
    assert (response.status, response.generation) == (Status.OK, generation), response
    return {hit.product_id: dict(hit.parts or {}) for hit in response.hits}


def pairs_remembered(data_dir: Path, live: Release) -> int | None:
    """Return of how many pairs what serves has a memory; None: of none."""
    from trainer.data.snapshot import Manifest

    if "memory" not in live.ranking.coefficients or live.run_id is None:
        return None
    manifest = RunFolder.of_refresh(data_dir, live.run_id).find("snapshot", Manifest)
    return manifest.pairs if manifest else None


def told_by_the_trainer(
    settings: TrainerSettings, folder: Path, live: LivePointer, before: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the same as the trainer computes it now, from what was known before a day."""
    from retrieval.memory_parts import sources_of
    from retrieval.ranking import MEMORY, weights
    from trainer.data import snapshot as snapshots
    from trainer.data.as_of import known_before
    from trainer.data.weights import Weighting
    from trainer.evaluation.memory_of_pairs import remember_known, taken_of
    from trainer.evaluation.rankers import Embedded, parts_of
    from trainer.keeping import VECTORS
    from trainer.refitting import RefitBench

    folder.mkdir()
    snapshots.take(settings, folder, live)
    snapshot = snapshots.Snapshot.read(folder)
    bench = RefitBench.of(refreshes_in(settings.data_dir) / VECTORS, settings, live.live, snapshot)
    known = known_before([before], snapshot.pairs, snapshot.clients, Weighting.of(settings))
    artefact = str(folder / "memory"), remember_known(bench.known, taken_of(known), folder / "memory")
    summed = {name: weight for name, weight in live.live.ranking.coefficients.items() if name != "ranker"}
    ranking = live.live.ranking.model_copy(update={"coefficients": summed, "artefacts": {MEMORY: artefact}})
    sources = sources_of(ranking, bench.words, model_sha256=live.live.model_sha256)
    vectors = Embedded(bench.known.queries(KNOWN), bench.documents)
    found = {}
    for query, parts in zip(KNOWN, parts_of(vectors, sources, KNOWN, bench.catalog, ranking), strict=True):
        weigh = weights(ranking, parts)
        found[query] = {
            i: {name: weight * parts[name].get(i, 0.0) for name, weight in weigh.items()}
            for i in parts["dense"]
        }
    return found


def furthest(
    answered: dict[str, dict[str, dict[str, float]]], told: dict[str, dict[str, dict[str, float]]]
) -> float:
    """Return by how much a part differs at most."""
    return max(
        abs(value - told[query][product][name])
        for query, hits in answered.items()
        for product, parts in hits.items()
        for name, value in parts.items()
        if name != "ranker"  # which follows from the others
    )


async def hits(settings: Settings, query: str) -> list[str]:
    return (await answer(settings, query))[1]


async def test_a_purchase_changes_what_is_answered_without_training(tmp_path: Path) -> None:
    async with Supervisor(data_dir=tmp_path, env=OFTEN, quiet=True) as stack:
        settings = settings_of(stack, tmp_path)
        await ensure_topics(settings)
        before = [*products(), *earlier()]
        await feed(settings, before)
        await stack.ready(180)
        right = counts_of(before)
        await until(lambda: pairs_equal(settings, right), "the pairs of one clean pass")

        async def remembers() -> bool:
            return pairs_remembered(tmp_path, (await pointer_of(settings)).live) == len(right)

        await until(remembers, "a refresh of the first generation")
        live = (await pointer_of(settings)).live
        assert (live.kind, live.collection[-6:]) == ("refresh", "000001")

        async def answers() -> bool:
            return (await answer(settings, NEW))[0] == live.generation

        await until(answers, "answers of the refresh")
        first = [await hits(settings, query) for query in (NEW, MISSPELT)]
        assert all(BOUGHT not in found[:3] for found in first)
        pointer = await pointer_of(settings)
        answered = {query: await explained(settings, query, live.generation) for query in KNOWN}
        assert any(parts["memory"] > 0 for found in answered.values() for parts in found.values())

        await feed(settings, purchases())

        async def begun() -> bool:
            return any((tmp_path / "refreshes").glob("*/attempts"))

        await until(begun, "a refresh in progress")
        for process in ("trainer", "indexer"):
            stack.kill(process)

        async def found() -> bool:
            return [(await hits(settings, query))[0] for query in (NEW, MISSPELT)] == [BOUGHT, BOUGHT]

        await until(found, "the product that was bought, for the query and its misspelling")
        assert await read_runs(settings) == [], "nothing was trained"
        served = (await pointer_of(settings)).live
        assert (served.model_sha256, served.collection) == (live.model_sha256, live.collection)

        done = run_cli("rollback", "--to", str(live.generation), "--data-dir", str(tmp_path))
        assert done.returncode == 0, done.stderr

        async def as_before() -> bool:
            return [await hits(settings, query) for query in (NEW, MISSPELT)] == first

        await until(as_before, "the earlier answers")

        known = 1 + max(day for days, _ in right.values() for day in days)
        trainer = TrainerSettings(kafka=stack.kafka, milvus=stack.milvus, data_dir=tmp_path)
        as_then, as_now = [
            await asyncio.to_thread(told_by_the_trainer, trainer, tmp_path / f"{day}", pointer, day)
            for day in (known, known + 3)
        ]
        assert furthest(answered, as_then) < 1e-6
        assert furthest(answered, as_now) > 1e-3  # who reads what came later tells something else
        assert all(BOUGHT not in as_then[query] or not as_then[query][BOUGHT]["memory"] for query in KNOWN)
        assert all(as_now[query][BOUGHT]["memory"] > 0.1 for query in KNOWN)
