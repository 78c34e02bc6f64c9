"""A client of a real searcher process.

Starts and kills it, sets the live pointer, sends requests, collects answers.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.producing import Producer, open_producer
from broker.reading import Reader, open_reader
from broker.records import Headers, Outgoing, Record
from broker.topics import ensure_topics
from schemas.releases import LivePointer, Release
from schemas.search import SearchRequest, SearchResponse
from schemas.settings import SearcherSettings

PATIENCE_S = 240.0


class Shop:
    """Open it as an async context. ``answers`` grows as they come, in the order of arrival."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.settings = SearcherSettings.load(
            {k: v for k, v in environ.items() if k.startswith("SEARCHLOOP_")}
        )
        self.answers: list[tuple[SearchResponse, Record]] = []
        self._by_id: dict[str, list[tuple[SearchResponse, Record]]] = {}
        self.sequence = 0
        self.environ = environ
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._stack = AsyncExitStack()
        self._producer: Producer
        self._reader: Reader

    async def __aenter__(self) -> Self:
        await ensure_topics(self.settings)
        self._producer = await self._stack.enter_async_context(
            open_producer(self.settings.kafka, linger_ms=0)
        )
        topics = [self.settings.topic("search-responses")]
        self._reader = await self._stack.enter_async_context(
            open_reader(self.settings.kafka, topics, fetch_wait_ms=50)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        await self._stack.aclose()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "searcher"], env={**os.environ, **self.environ}, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._child is None:
            return 0
        self._child.send_signal(number)
        code = self._child.wait(PATIENCE_S)
        self._child = None
        return code

    async def publish(self, live: Release, previous: Release | None = None) -> None:
        self.sequence += 1
        pointer = LivePointer(sequence=self.sequence, live=live, previous=previous, cause="test")
        await self._producer.send(Outgoing(self.settings.topic("releases"), pointer.to_json(), key=b"main"))

    async def send(
        self,
        request_id: str,
        query: str = "red hdmi cable",
        *,
        headers: Headers = (),
        at_ms: int | None = None,
        **fields: object,
    ) -> None:
        request = SearchRequest.model_validate(
            {"request_id": request_id, "user_query": query, "timeout_ms": 600_000, **fields}
        )
        await self.send_raw(request.to_json(), request_id.encode(), headers=headers, at_ms=at_ms)

    async def send_raw(
        self,
        value: bytes,
        key: bytes | None,
        *,
        headers: Headers = (),
        at_ms: int | None = None,
        partition: int | None = None,
    ) -> None:
        topic = self.settings.topic("search-requests")
        await self._producer.send(
            Outgoing(topic, value, key=key, headers=headers, timestamp_ms=at_ms, partition=partition)
        )

    async def answers_to(self, *request_ids: str) -> list[SearchResponse]:
        """Wait until each has an answer; return the first answer of each, in order."""
        await self.until(
            lambda: all(self.of(i) for i in request_ids), f"no answer to one of {request_ids[:5]}"
        )
        return [self.of(i)[0][0] for i in request_ids]

    def of(self, request_id: str) -> list[tuple[SearchResponse, Record]]:
        return list(self._by_id.get(request_id, ()))

    async def until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            await self.collect()
            assert time.monotonic() < deadline, f"{otherwise}\n{self._log.read_text()[-4000:]}"

    async def collect(self) -> None:
        for record in await self._reader.poll(timeout_ms=100):
            answer = SearchResponse.from_json(record.value or b"")
            self.answers.append((answer, record))
            self._by_id.setdefault(answer.request_id, []).append((answer, record))

    async def ask(self, request_id: str, query: str = "red hdmi cable", **fields: object) -> SearchResponse:
        await self.send(request_id, query, **fields)  # type: ignore[arg-type]
        return (await self.answers_to(request_id))[0]

    async def read(self, topic: str, enough: Callable[[Sequence[Record]], bool]) -> list[Record]:
        """Read a topic from its beginning until there is enough."""
        found: list[Record] = []
        deadline = time.monotonic() + PATIENCE_S
        async with open_reader(self.settings.kafka, [self.settings.topic(topic)]) as reader:
            while not enough(found):
                found += await reader.poll()
                assert time.monotonic() < deadline, f"{topic}: only {len(found)} records"
        return found


async def send_all(shop: Shop, requests: Iterable[tuple[str, str]]) -> None:
    """Send (request_id, query) at once."""
    await asyncio.gather(*(shop.send(i, q) for i, q in requests))
