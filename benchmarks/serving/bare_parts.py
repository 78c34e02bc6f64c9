"""The bare parts of a search, one at a time with nothing around them.

Encode, ask Milvus, send through Kafka and back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sentence_transformers import SentenceTransformer

from broker.consuming import open_group
from broker.producing import open_producer
from broker.records import Outgoing
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from retrieval.encoder import Encoder
from retrieval.index import VectorStore
from schemas.connections import KafkaConnection
from schemas.search import CORRELATION_ID, SearchRequest
from schemas.settings import Settings

HITS = int(SearchRequest.model_fields["k"].default)  # of a request that names no k


def one_by_one(
    encoder: Encoder, store: VectorStore, collection: str, hits: int, queries: Sequence[str]
) -> Iterator[tuple[float, float]]:
    """Yield the milliseconds of the encoder and of Milvus, which finds so many, for each query alone."""
    for query in queries:
        started = time.perf_counter()
        vectors = encoder.encode_queries([query])
        encoded = time.perf_counter()
        store.search(collection, vectors, hits)
        yield (encoded - started) * 1000, (time.perf_counter() - encoded) * 1000


@dataclass
class Encoding:
    """Encoding full batches and nothing else, over several turns."""

    encode: Callable[[list[str]], object]
    queries: int = 0
    took_s: float = 0.0
    cpu_s: float = 0.0

    def run(self, queries: Iterator[str], batch: int, seconds: float) -> None:
        """Encode for some seconds more."""
        started, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - started < seconds:
            self.encode([next(queries) for _ in range(batch)])
            self.queries += batch
        self.took_s += time.perf_counter() - started
        self.cpu_s += time.process_time() - cpu

    @property
    def per_s(self) -> float:
        """Queries a second."""
        return self.queries / self.took_s

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds per query, of this process."""
        return 1000 * self.cpu_s / self.queries


def library_encoding(folder: Path) -> Callable[[list[str]], object]:
    """Return sentence-transformers' own ``encode`` of a batch, with the threads that torch has now.

    What a user would call.
    """
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False)
    return lambda texts: model.encode(
        texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
    )


class Echo:
    """Requests of a searcher's size through two topics, answered with bytes of an answer's size."""

    def __init__(self, requester: Requester, topic: str) -> None:
        self._requester = requester
        self._topic = topic

    async def round_trips(self, n: int, request: bytes) -> list[float]:
        """Return the milliseconds of n round trips, one after the other."""
        took = []
        for number in range(n):
            started = time.perf_counter()
            await self._requester.ask(self._topic, request, key=str(number).encode(), timeout_s=30)
            took.append((time.perf_counter() - started) * 1000)
        return took


@asynccontextmanager
async def open_echo(settings: Settings, answer: bytes) -> AsyncIterator[Echo]:
    """Run an echo beside this process's own work, on topics of its own."""
    own = Settings.load({**settings.environ(), "SEARCHLOOP_TOPIC_PREFIX": f"{settings.topic_prefix}echo."})
    await ensure_topics(own)
    requests, responses = own.topic("search-requests"), own.topic("search-responses")
    task = asyncio.create_task(_answering(own.kafka, requests, responses, answer))
    try:
        async with open_requester(own, responses) as requester:
            echo = Echo(requester, requests)
            await echo.round_trips(20, answer)
            yield echo
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _answering(kafka: str, requests: str, responses: str, answer: bytes) -> None:
    async with (
        open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer,
        open_group(KafkaConnection(kafka=kafka), [requests], "echo", fetch_wait_ms=50) as group,
    ):
        while True:
            for record in await group.batch(timeout_ms=50, max_records=16):
                correlation = record.header(CORRELATION_ID) or b""
                await producer.send(
                    Outgoing(responses, answer, key=record.key, headers=((CORRELATION_ID, correlation),))
                )
