"""A purchase changes answers with no training in between, and kill -9 changes nothing but the time."""

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
from schemas.releases import LivePointer
from schemas.search import SearchRequest, Status
from schemas.settings import Settings
from tests.flows.reference import Raw
from tests.flows.shop_records import products, titles
from tests.flows.turning import counts_of, feed, pairs_equal, settings_of
from tests.processes import run_cli
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

END = datetime.now(UTC)
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
OFTEN = {"SEARCHLOOP_REFRESH_EVERY": "PT5S", "SEARCHLOOP_MAX_LATENCY_RATIO": "1000"}


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
    """Twenty days of purchases, each of what the shopper called by its slang."""
    ids = sorted(titles())
    for number in range(1200):
        rng = Random(number)
        slang = rng.randrange(len(SLANG))
        query = f"{rng.choice(WITH)} {SLANG[slang]}".strip()
        at = END - timedelta(days=20) * (1 - number / 1200) - timedelta(minutes=5)
        yield from bought(f"c{number % 300}", query, ids[slang], at, str(number))


def purchases() -> Iterator[Raw]:
    """Three shoppers, known from before, ask what nobody has asked and buy the same."""
    for client in ("c1", "c2", "c4"):
        yield from bought(client, NEW, BOUGHT, END - timedelta(minutes=2), f"new-{client}")


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
            return "memory" in (await pointer_of(settings)).live.ranking.coefficients

        await until(remembers, "a refresh of the first generation")
        live = (await pointer_of(settings)).live
        assert (live.kind, live.collection[-6:]) == ("refresh", "000001")

        async def answers() -> bool:
            return (await answer(settings, NEW))[0] == live.generation

        await until(answers, "answers of the refresh")
        first = [await hits(settings, query) for query in (NEW, MISSPELT)]
        assert all(BOUGHT not in found[:3] for found in first)

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
