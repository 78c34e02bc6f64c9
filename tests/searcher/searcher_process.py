"""A real searcher process and its client.

Sets the live pointer, sends requests, collects answers.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from broker.producing import Producer, open_producer
from broker.reading import Reader, open_reader
from broker.records import Headers, Outgoing, Record
from schemas.products import CatalogProduct
from schemas.releases import LivePointer, Release
from schemas.search import SearchRequest, SearchResponse
from tests.processes import SearchloopProcess


class SearcherProcess(SearchloopProcess):
    """Open it as an async context to ask it. ``answers`` grows as they come, in the order of arrival."""

    def __init__(self, settings: Mapping[str, str], *, command: Sequence[str] = ()) -> None:
        super().__init__("searcher", settings, command=command)
        self.answers: list[tuple[SearchResponse, Record]] = []
        self._by_id: dict[str, list[tuple[SearchResponse, Record]]] = {}
        self.sequence = 0
        self._stack = AsyncExitStack()
        self._producer: Producer
        self._reader: Reader

    async def __aenter__(self) -> Self:
        await self.ensure_topics()
        self._stack.enter_context(self)
        self._producer = await self._stack.enter_async_context(open_producer(self.settings, linger_ms=0))
        topics = [self.settings.topic("search-responses")]
        self._reader = await self._stack.enter_async_context(
            open_reader(self.settings, topics, fetch_wait_ms=50)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def publish(self, live: Release, previous: Release | None = None) -> None:
        self.sequence += 1
        pointer = LivePointer(sequence=self.sequence, live=live, previous=previous, cause="test")
        await self._producer.send(Outgoing(self.settings.topic("releases"), pointer.to_json(), key=b"main"))

    async def send_catalog(self, products: Iterable[CatalogProduct]) -> None:
        topic = self.settings.topic("catalog")
        await self._producer.send_all(
            Outgoing(topic, p.to_json(), key=p.product_id.encode()) for p in products
        )

    async def request(
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
        await self.collect_until(
            lambda: all(self.of(i) for i in request_ids), f"an answer to each of {request_ids[:5]}"
        )
        return [self.of(i)[0][0] for i in request_ids]

    def of(self, request_id: str) -> list[tuple[SearchResponse, Record]]:
        return list(self._by_id.get(request_id, ()))

    async def collect_until(self, condition: Callable[[], bool], what: str) -> None:
        async def collected() -> bool:
            if not condition():
                await self.collect()
            return condition()

        await self.until(collected, what, pause_s=0, moving=lambda: len(self.answers))

    async def collect(self) -> None:
        for record in await self._reader.poll(timeout_ms=100):
            answer = SearchResponse.from_json(record.value or b"")
            self.answers.append((answer, record))
            self._by_id.setdefault(answer.request_id, []).append((answer, record))

    async def ask(self, request_id: str, query: str = "red hdmi cable", **fields: object) -> SearchResponse:
        await self.request(request_id, query, **fields)  # type: ignore[arg-type]
        return (await self.answers_to(request_id))[0]


async def request_all(searcher: SearcherProcess, requests: Iterable[tuple[str, str]]) -> None:
    """Send (request_id, query) at once."""
    await asyncio.gather(*(searcher.request(i, q) for i, q in requests))
