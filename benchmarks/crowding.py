"""Honest searches beside a client that asks for too much: how long they take, and how many of them expire.

A real searcher, a real broker and Milvus Lite. A few honest clients ask one ordinary query after the other,
with the default timeout; beside them one greedy client, or as many as it has requests, sends all it has at
once. Held: no honest search ends without hits, and their p99 stays below ``MAX_P99_MS``.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.harness.report import finish, say
from benchmarks.serving.indexed_shop import Grounds, IndexedShop, fill, known_products, publish
from benchmarks.serving.measured_turns import quantile
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.support.asking import ask
from embedded.kafka import EmbeddedKafka
from embedded.milvus import EmbeddedMilvus
from embedded.supervisor import Supervisor
from retrieval.encoder import Encoder
from retrieval.index import VectorStore, collection_name
from retrieval.model_folder import resolve_model
from schemas.bounds import FILTER_CHARS, FILTER_VALUES, REQUEST_BYTES
from schemas.connections import KafkaConnection, MilvusConnection
from schemas.search import SearchRequest
from schemas.settings import BUNDLED_MODEL, SearcherSettings

MAX_P99_MS = 1500.0
HONEST = 4
PAUSE_S = 0.05
LEAST_S = 8.0

Fields = dict[str, Any]


def deep(number: int) -> Fields:
    """As many hits as a request may ask for."""
    return {"user_query": f"gift {number}", "k": 200, "offset": 1000}


def many_values(number: int) -> Fields:
    """As many categories as conditions may name."""
    value = [f"category {number} {i} > below" for i in range(100)]
    return {
        "user_query": f"gift {number}",
        "k": 200,
        "filters": [{"field": "category", "op": "in", "value": value}] * (FILTER_VALUES // 100),
    }


def long_values(number: int) -> Fields:
    """Filters of as many characters as a request may have."""
    value = [f"{number} " + "x" * (FILTER_CHARS - 10)] * (REQUEST_BYTES // FILTER_CHARS - 2)
    return {"user_query": f"gift {number}", "filters": [{"field": "brand", "op": "in", "value": value}]}


def plain(number: int) -> Fields:
    """An ordinary search, as everybody's."""
    return {"user_query": f"gift {number}"}


ATTACKS: dict[str, tuple[Callable[[int], Fields], int, bool]] = {
    "deep": (deep, 300, False),
    "many_values": (many_values, 300, False),
    "many_values_by_300_clients": (many_values, 300, True),
    "long_values": (long_values, 300, False),
    "flood_of_one_client": (plain, 5000, False),
}


async def attack(producer: Producer, topic: str, kind: str) -> None:
    """Send all requests of an attack at once."""
    fields, count, apart = ATTACKS[kind]
    records = []
    for number in range(count):
        request_id = uuid.uuid4().hex
        client = f"greedy-{number}" if apart else "greedy"
        body = SearchRequest.model_validate(
            {"request_id": request_id, "client_id": client, "timeout_ms": 60_000, **fields(number)}
        )
        records.append(Outgoing(topic, body.to_json(), key=request_id.encode()))
    await producer.send_all(records)


async def honest(
    requester: Requester, settings: SearcherSettings, queries: list[str], ending: asyncio.Event
) -> dict[str, Any]:
    """Ask on until ``ending``; return quantiles and how the searches ended."""
    turns, took, ended = itertools.cycle(queries), [], Counter[str]()

    async def one_client(name: str) -> None:
        while not ending.is_set():
            request = SearchRequest(request_id=uuid.uuid4().hex, user_query=next(turns), client_id=name)
            try:
                response, ms = await ask(requester, settings, request)
            except TimeoutError:
                ended["no answer"] += 1
                continue
            ended[response.error.code if response.error else response.status.value] += 1
            took.append(ms)
            await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(one_client(f"honest-{n}") for n in range(HONEST)))
    return {"p50_ms": quantile(took, 50), "p99_ms": quantile(took, 99), "ended": dict(ended)}


async def measure(
    kafka: str, milvus: str, ground: IndexedShop, encoder: Encoder, kinds: list[str]
) -> list[dict[str, Any]]:
    """Return a row of the honest searches alone, then one per attack."""
    rows = []
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="searchloop-crowding-")))
        env = {
            "SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_MILVUS": milvus, "SEARCHLOOP_TOPIC_PREFIX": "crowd.",
            "SEARCHLOOP_DATA_DIR": str(folder), "SEARCHLOOP_EMIT_SEARCHES": "false",
        }  # fmt: skip
        settings = SearcherSettings.load(env)
        await ensure_topics(settings)
        store = held.enter_context(VectorStore(MilvusConnection(milvus=milvus)))
        name = collection_name("crowd", 1)
        await asyncio.to_thread(fill, store, name, ground, 1)
        await publish(settings, encoder, name, ground, 1)
        stack = await held.enter_async_context(
            Supervisor(data_dir=folder, env=env, processes=("searcher",), quiet=True)
        )
        await stack.ready(300)
        requester = await held.enter_async_context(
            open_requester(KafkaConnection(kafka=kafka), settings.topic("search-responses"))
        )
        producer = await held.enter_async_context(open_producer(KafkaConnection(kafka=kafka), linger_ms=5))
        for kind in ("nobody", *kinds):
            ending = asyncio.Event()
            asking = asyncio.create_task(honest(requester, settings, ground.queries, ending))
            await asyncio.sleep(1.0)
            started = time.monotonic()
            if kind != "nobody":
                await attack(producer, settings.topic("search-requests"), kind)
            await asyncio.sleep(max(LEAST_S, LEAST_S - (time.monotonic() - started)))
            ending.set()
            rows.append({"beside": kind, "pid": stack.pid("searcher"), **await asking})
            say(str(rows[-1]))
            await calm(requester, settings)
    return rows


async def calm(requester: Requester, settings: SearcherSettings) -> None:
    """Wait until an ordinary search takes less than a second.

    What is left of an attack is not the next one's.
    """
    while True:
        try:
            response, ms = await ask(
                requester,
                settings,
                SearchRequest(request_id=uuid.uuid4().hex, user_query="tv", timeout_ms=60_000),
            )
        except TimeoutError:
            continue
        if response.error is None and ms < 1000:
            return


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1500)
    parser.add_argument(
        "--attacks", type=lambda text: text.split(","), default=list(ATTACKS), help="comma separated"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    encoder = Encoder.load(resolve_model(BUNDLED_MODEL), threads=1)
    ground = Grounds(known_products(), encoder, args.seed).of(args.products)
    with (
        tempfile.TemporaryDirectory(prefix="searchloop-crowding-") as folder,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
        EmbeddedMilvus(Path(folder) / "milvus") as milvus,
    ):
        rows = asyncio.run(measure(kafka.address, milvus.address, ground, encoder, args.attacks))
    ok = (
        all(set(r["ended"]) == {"ok"} and r["p99_ms"] <= MAX_P99_MS for r in rows)
        and len({r["pid"] for r in rows}) == 1
    )
    return finish("crowding", seed=args.seed, started=started, ok=ok, results=rows)


if __name__ == "__main__":
    raise SystemExit(main())
