"""What ``benchmarks.attack`` attacks.

A stack of its own with a small shop, and whether each of its processes goes on.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import aiohttp
import psutil
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from benchmarks.intake.odd_names import OddName
from broker.reading import open_reader
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.asking import ask
from commands.support.pages import read_page
from commands.support.topic_state import read_releases
from embedded.probing import says_yes
from embedded.supervisor import PROCESSES, Supervisor
from schemas.connections import KafkaConnection
from schemas.products import Product
from schemas.releases import DeploymentCommand, LivePointer
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import Settings
from schemas.topics import TRAINING_TRIGGERS, dead_letter_name
from schemas.training import Trigger
from simulator.shop import Shop

PROBE_S = 120.0
QUERY = "waterproof jacket"
_LARGEST = 1 << 30
# An hour is no time for a benchmark
_SETTINGS = {"PARTITIONS": "1", "SEARCH_PARTITIONS": "1", "EMPTY_PAIRS_KEPT": "PT5S"}
OTHERS_WRITE = (
    "searches",
    "interactions",
    "products",
    "erasures",
    "search-requests",
    "training-triggers",
    "deployment-commands",
)


@dataclass(frozen=True, kw_only=True)
class AttackRecord:
    """One record of an attack: topic without prefix, value, key, headers."""

    topic: str
    value: bytes | None
    key: bytes | None = b"attack"
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass
class RunningStack:
    """A running stack. ``settings`` are those that all its processes have."""

    stack: Supervisor
    settings: Settings
    requester: Requester
    producer: AIOKafkaProducer
    folder: Path

    def pids(self) -> dict[str, int | None]:
        """Return the processes as they are now: one that ended has another id, or none."""
        return {name: self.stack.pid(name) for name in ("kafka", "milvus", *PROCESSES)}

    def memory_mb(self, name: str) -> float:
        """Return the resident memory of a process and of what it started."""
        try:
            process = psutil.Process(self.stack.pid(name) or 0)
            return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**20
        except (psutil.Error, ValueError):
            return 0.0

    def cpu_s(self, name: str) -> float:
        """Return the seconds of CPU that a process has used."""
        times = psutil.Process(self.stack.pid(name)).cpu_times()
        return float(times.user + times.system)

    async def send(self, records: Iterable[AttackRecord]) -> int:
        """Write records as an attacker would; returns how many."""
        flying = []
        for r in records:
            topic = self.settings.topic(r.topic)
            if (r.value is None and r.key is None) or any(isinstance(name, OddName) for name, _ in r.headers):
                flying.append(await self.producer.send_batch(self._odd(r), topic, partition=0))
            else:
                flying.append(await self.producer.send(topic, r.value, key=r.key, headers=list(r.headers)))
            if len(r.value or b"") > 1 << 20 or len(flying) % 1000 == 0:
                await asyncio.gather(*flying)
        await asyncio.gather(*flying)
        return len(flying)

    def _odd(self, record: AttackRecord) -> BatchBuilder:
        """Return a batch of one record that the library would not send: clients of other makes do."""
        batch = self.producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, -1, _LARGEST)  # noqa: SLF001 (its own asserts what it sends)
        batch.append(
            key=record.key,
            value=record.value,
            timestamp=int(time.time() * 1000),
            headers=list(record.headers),
        )
        return batch

    async def clean(self) -> None:
        """Delete what others have sent.

        So a process that an attack keeps down comes back for the next one.
        """
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka)
        await admin.start()
        try:
            topics = [self.settings.topic(name) for name in OTHERS_WRITE]
            everything = {TopicPartition(topic, 0): RecordsToDelete(before_offset=-1) for topic in topics}
            await admin.delete_records(everything)
        finally:
            await admin.close()

    async def pages(self, page: str = "readyz") -> dict[str, bool]:
        """Say of each process whether a page says yes within two seconds."""
        async with aiohttp.ClientSession() as session:
            said = await asyncio.gather(
                *(says_yes(page, self.settings.data_dir, name, session) for name in PROCESSES)
            )
        return dict(zip(PROCESSES, said, strict=True))

    async def search(self, query: str = QUERY, **fields: object) -> SearchResponse:
        """Ask as a client. Raises ``TimeoutError`` when no answer comes."""
        request = SearchRequest(
            request_id=uuid.uuid4().hex, user_query=query, **{"timeout_ms": 10_000, **fields}
        )
        return (await ask(self.requester, self.settings, request))[0]

    async def pointer(self) -> LivePointer | None:
        """Return the pointer that holds."""
        return (await read_releases(self.settings))[0]

    async def answer_on(
        self, topic: str, said: bytes, records: Iterable[AttackRecord], *, within_s: float = PROBE_S
    ) -> tuple[bytes, float] | None:
        """Write records and wait for one on ``topic`` that holds ``said`` in key or value.

        Returns its value and the seconds it took.
        """
        async with open_reader(
            self.settings, [self.settings.topic(topic)], start="end", fetch_wait_ms=50
        ) as reader:
            await reader.positions()
            started = time.monotonic()
            await self.send(records)
            while time.monotonic() - started < within_s:
                for record in await reader.poll(timeout_ms=100):
                    if said in (record.value or b"") or said in (record.key or b""):
                        return record.value or b"", time.monotonic() - started
        return None

    async def goes_on(self, name: str, *, within_s: float = PROBE_S) -> float | None:
        """Return the seconds until a process has done the next honest work behind all that was sent.

        None when it has not.
        """
        mark = f"honest-{uuid.uuid4().hex}"
        if name in SEARCHED:
            return await self._searched(SEARCHED[name], within_s)
        topic, record = PROBES[name](self, mark)
        found = await self.answer_on(topic, mark.encode(), [record], within_s=within_s)
        return round(found[1], 2) if found else None

    async def _searched(self, answered: "Answered", within_s: float) -> float | None:
        started = time.monotonic()
        while time.monotonic() - started < within_s:
            with suppress(TimeoutError, aiohttp.ClientError, OSError):
                if await answered(self):
                    return round(time.monotonic() - started, 2)
        return None

    async def answered_over_kafka(self) -> bool:
        """Say whether a search is answered that a client sends to the topic."""
        return (await self.search()).status is Status.OK

    async def answered_over_http(self) -> bool:
        """Say whether the API answers a search."""
        address = (await asyncio.to_thread(read_page, self.settings, "api", "readyz")).get("address")
        if address is None:
            await asyncio.sleep(0.1)  # until it has said where it listens
            return False
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
            session.get(f"{address}/v1/search", params={"q": QUERY}) as answer,
        ):
            return answer.status == HTTPStatus.OK


def an_event(mark: str, **fields: object) -> bytes:
    """Return a search as a shop reports it."""
    event = {
        "event_id": mark,
        "timestamp": datetime.now(UTC).isoformat(),
        "client_id": mark,
        "query_id": mark,
        "user_query": QUERY,
    }
    return json.dumps({**event, "query_response_hit_ids": ["100001"], **fields}).encode()


def _probe_of_stream(_: RunningStack, mark: str) -> tuple[str, AttackRecord]:
    return "events", AttackRecord(topic="searches", value=an_event(mark), key=mark.encode())


def _probe_of_trainer(stand: RunningStack, mark: str) -> tuple[str, AttackRecord]:
    trigger = Trigger(trigger_id=mark, requested_at=datetime.now(UTC), params={"nonsense": 1})
    return dead_letter_name(TRAINING_TRIGGERS.name), AttackRecord(
        topic=TRAINING_TRIGGERS.name, value=trigger.to_json(), key=stand.settings.deployment.encode()
    )


def _probe_of_indexer(stand: RunningStack, mark: str) -> tuple[str, AttackRecord]:
    command = DeploymentCommand(
        command_id=mark, deployment=stand.settings.deployment, action="rollback", expected_generation=10**6
    )
    return "decisions", AttackRecord(
        topic="deployment-commands", value=command.to_json(), key=stand.settings.deployment.encode()
    )


Answered = Callable[[RunningStack], Awaitable[bool]]
# The honest work that each process is asked for: a search, or a record and the topic where it must show
SEARCHED: Mapping[str, Answered] = {
    "searcher": RunningStack.answered_over_kafka,
    "api": RunningStack.answered_over_http,
}
PROBES: Mapping[str, Callable[[RunningStack, str], tuple[str, AttackRecord]]] = {
    "stream": _probe_of_stream,
    "trainer": _probe_of_trainer,
    "indexer": _probe_of_indexer,
}


@asynccontextmanager
async def open_stand(folder: Path, *, products: int, seed: int) -> AsyncIterator[RunningStack]:
    """Start a stack with a small shop and wait until all its processes do their work.

    One partition of each topic: so what an honest client sends stands behind the attack, never beside it.
    """
    shop = Shop(
        seed,
        end=datetime.now(UTC),
        products=products,
        shoppers=100,
        weeks=1,
        sessions_per_week=150,
        dirt_share=0.0,
    )
    environ = ONLY_ASKED | {
        f"SEARCHLOOP_{name}": text
        for name, text in (_SETTINGS | {"MODEL_FOLDERS": str(folder / "models")}).items()
    }
    async with Supervisor(data_dir=folder / "stack", env=environ, quiet=True) as stack:
        servers = {
            "SEARCHLOOP_KAFKA": stack.kafka,
            "SEARCHLOOP_MILVUS": stack.milvus,
            "SEARCHLOOP_DATA_DIR": str(folder / "stack"),
        }
        settings = Settings.load({**environ, **servers})
        await ensure_topics(settings)
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.kafka,
            max_request_size=_LARGEST,
            compression_type="zstd",
            linger_ms=5,
            request_timeout_ms=120_000,
        )
        await producer.start()
        try:
            async with open_requester(
                KafkaConnection(kafka=stack.kafka), settings.topic("search-responses")
            ) as requester:
                stand = RunningStack(stack, settings, requester, producer, folder)
                await stand.send(_jacket())
                records = [*shop.products(), *shop.all_events()]
                await stand.send(AttackRecord(topic=r.topic_name, value=r.value, key=r.key) for r in records)
                await stack.ready(300)
                for name in PROCESSES:
                    if await stand.goes_on(name) is None:
                        raise RuntimeError(
                            f"{name} does not do its work before any attack; see {stack.log_path(name)}"
                        )
                yield stand
        finally:
            await producer.stop()


def _jacket() -> list[AttackRecord]:
    product = Product(
        product_id="jacket",
        title="Waterproof jacket for rain and storm",
        brand="Acme",
        category_path=["jackets"],
        price=50.0,
    )
    return [AttackRecord(topic="products", value=product.to_json(), key=b"jacket")]
