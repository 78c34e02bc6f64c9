"""The loop on a real Milvus server (HNSW) instead of Lite.

One turn with a column of an attribute, a deletion, and kill -9 of the server under search traffic.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.reading import read_compacted
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.instruments.traffic import Answer, Traffic, steady_traffic
from commands.support.asking import ask
from commands.support.run_request import wait_for_run
from commands.support.topic_state import read_releases
from embedded.milvus_server import MilvusServer
from embedded.supervisor import PROCESSES, Supervisor
from retrieval.index import VectorStore
from retrieval.trait_columns import held_of
from schemas.search import Filter, SearchRequest, SearchResponse, Status
from schemas.settings import Settings
from schemas.training import RunState
from tests.flows.reference import Raw
from tests.flows.shop_records import TARGET, products, visits
from tests.flows.turning import ask_for_run, feed, settings_of
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

# A generation may be much slower than the one before: of a busy machine nothing is judged by the clock.
STILL = ONLY_ASKED | {"SEARCHLOOP_MAX_LATENCY_RATIO": "1000"}
HELD = "colour"
QUERY = "adjustable basin nozzle"  # the title of TARGET


@pytest.fixture
def server(milvus_wheel: None, tmp_path: Path) -> Iterator[MilvusServer]:
    """A server of this test's own, because it is killed."""
    with MilvusServer(tmp_path / "milvus-server") as started:
        yield started


async def test_the_loop_turns_on_a_milvus_server_and_searches_come_back_after_it_was_killed(
    server: MilvusServer, tmp_path: Path
) -> None:
    async with Supervisor(
        data_dir=tmp_path,
        env=STILL
        | {
            "SEARCHLOOP_MILVUS": server.address,
            "SEARCHLOOP_MILVUS_ATTRIBUTES": HELD,
            "SEARCHLOOP_MAX_STEPS": "10",
        },
        quiet=True,
    ) as stack:
        settings = settings_of(stack, tmp_path)
        await ensure_topics(settings)
        await feed(settings, with_traits())
        await stack.ready(180)
        await feed(settings, visits(datetime.now(UTC), first=0, last=400))
        run = await wait_for_run(settings, await ask_for_run(settings), quiet_s=300)
        assert (run.state, run.generation) == (RunState.DEPLOYED, 2), run
        async with (
            open_requester(settings, settings.topic("search-responses")) as requester,
            steady_traffic(requester, settings, [QUERY], per_second=10) as traffic,
        ):
            await until(
                lambda: _last(traffic, lambda a: _shows(a, TARGET, generation=2)), "an answer of generation 2"
            )
            await _narrowed_counted_grouped_and_sorted(requester, settings)
            await feed(settings, [Raw("products", TARGET.encode(), None)])
            await until(
                lambda: _last(traffic, lambda a: not a.failed and not _shows(a, TARGET)),
                "its deletion",
            )

            traffic.phase = "down"
            server.kill()
            await until(
                lambda: _last(traffic, lambda a: a.failed), "an answer that says that the index is gone"
            )
            # Not a thread that ends: a child dies with the thread that started it
            await asyncio.to_thread(server.start)
            traffic.phase = "back"
            await until(
                lambda: _last(traffic, lambda a: a.phase == "back" and not a.failed),
                "answers after the restart",
            )
            assert not _shows(traffic.answers[-1], TARGET)
        await until(
            lambda: _all_answered(settings),
            "one answer to every request, also to those that nobody waits for any more",
        )
        said = {
            a.response.error.code
            for a in traffic.answers
            if a.response is not None and a.response.error is not None
        }
        # what waits too long for the index on a slow machine leaves no room for those after it
        assert said <= {"index_unavailable", "expired", "overloaded"}
        await _alias_and_index_are_those_of_the_live_generation(settings)
        assert not [name for name in PROCESSES if stack.restarts(name)], "no process had to be started again"


def with_traits() -> Iterator[Raw]:
    """Yield the catalogue: every second one is dark red, two are variants of one, the last are cheapest."""
    for number, record in enumerate(products()):
        own = {
            "attributes": {"Colour": "Dark\u00a0Red" if number % 2 else "blue", "size": number},
            "group_id": f"g{number // 2}",
            "price": 100.0 - number,
        }
        yield Raw(record.topic_name, record.key, json.dumps(json.loads(record.value or b"") | own).encode())


async def _narrowed_counted_grouped_and_sorted(requester: Requester, settings: Settings) -> None:
    """The index has a column of the colour and none of the size."""

    async def asked(**given: object) -> SearchResponse:
        request = {
            "request_id": uuid.uuid4().hex,
            "user_query": "heavy router",
            "k": 20,
            "timeout_ms": 60_000,
        }
        answer, _ = await ask(requester, settings, SearchRequest.model_validate(request | given))
        assert (answer.status, answer.error) == (Status.OK, None)
        return answer

    wide = Filter(field="attributes.size", op="gte", value=90)
    red = Filter(field="attributes.colour", value="DARK red")
    found = await asked(filters=[red, wide], facets=["attributes.colour"], sort="price_asc")
    assert [h.product_id for h in found.hits] == ["p099", "p097", "p095", "p093", "p091"]
    assert [[(c.value, c.count) for c in f.counts] for f in found.facets] == [[("Dark Red", 5)]]
    newest = await asked(filters=[red, wide], sort="newest")
    assert {h.product_id for h in newest.hits} == {h.product_id for h in found.hits}
    alone = await asked(filters=[wide], group_by="group_id")
    assert len({int(h.product_id[1:]) // 2 for h in alone.hits}) == len(alone.hits) == 5
    others = await asked(filters=[red.model_copy(update={"op": "ne"}), wide])
    assert {h.product_id for h in others.hits} == {"p090", "p092", "p094", "p096", "p098"}


async def _last(traffic: Traffic, holds: Callable[[Answer], bool]) -> bool:
    return bool(traffic.answers) and holds(traffic.answers[-1])


def _shows(answer: Answer, product_id: str, *, generation: int | None = None) -> bool:
    if answer.response is None or answer.response.status is not Status.OK:
        return False
    right = generation is None or answer.response.generation == generation
    return right and product_id in [h.product_id for h in answer.response.hits]


async def _all_answered(settings: Settings) -> bool:
    asked, answered = [
        await read_compacted(settings, settings.topic(t)) for t in ("search-requests", "search-responses")
    ]
    return asked.records.keys() <= answered.records.keys()


async def _alias_and_index_are_those_of_the_live_generation(settings: Settings) -> None:
    live, _ = await read_releases(settings)
    assert live is not None
    with VectorStore(settings) as store:
        assert store.backend == "server"
        (alias,) = store._client.list_aliases(live.live.collection)["aliases"]
        assert store.alias_target(alias) == live.live.collection
        assert store._client.describe_index(live.live.collection, "vector")["index_type"] == "HNSW"
        assert TARGET not in store.ids(live.live.collection)
        assert store.held(live.live.collection) == held_of([HELD])
