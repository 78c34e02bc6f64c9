"""A real API process and its client, and a toy in the searcher's place."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from schemas.releases import LivePointer
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC, SearchRequest, SearchResponse
from schemas.settings import Settings
from tests.processes import SearchloopProcess
from tests.releases import a_release


@dataclass(frozen=True)
class Said:
    """What the API answered."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ApiProcess(SearchloopProcess):
    """Open it as an async context to call it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__("api", {"SEARCHLOOP_API_PORT": "0", **settings})
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        await self.ensure_topics()
        self._session = aiohttp.ClientSession()
        self.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        self.__exit__(kind, error, trace)

    async def address(self) -> str:
        return str((await self.shows(lambda page: page.get("address")))["address"])

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Said:
        """Send JSON, or bytes as they are; a header is named with underscores."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and "content-type" not in named:
            named["content-type"] = "application/json"
        async with self._session.request(
            method, await self.address() + path, data=data, headers=named, skip_auto_headers=["Content-Type"]
        ) as response:
            return Said(response.status, response.headers, await response.read())

    async def publish(self, generation: int = 7) -> None:
        """Make a generation live, as far as `releases` says so."""
        pointer = LivePointer(sequence=1, live=a_release(generation), cause="test")
        await self.send("releases", (b"main", pointer.to_json()))
        await self.shows(lambda page: page.get("generation") == generation)


@asynccontextmanager
async def answering(
    settings: Settings, answer: Callable[[SearchRequest, Record], Awaitable[SearchResponse | None]]
) -> AsyncIterator[list[Record]]:
    """Answer every request as a searcher would, with what ``answer`` returns; yields what was asked."""
    asked: list[Record] = []
    requests = settings.topic("search-requests")

    async def reply(record: Record) -> None:
        response = await answer(SearchRequest.from_json(record.value or b""), record)
        partition = record.header(REPLY_PARTITION)
        if response is not None and partition is not None:
            correlation = (CORRELATION_ID, record.header(CORRELATION_ID))
            topic = (record.header(REPLY_TOPIC) or b"").decode()
            place = int.from_bytes(partition, "big")
            await producer.send(Outgoing(topic, response.to_json(), partition=place, headers=(correlation,)))

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                for record in await reader.poll(timeout_ms=200):
                    asked.append(record)
                    tasks.create_task(reply(record))

    async with (
        open_producer(settings, linger_ms=0) as producer,
        open_reader(settings, [requests], start="end", fetch_wait_ms=20) as reader,
    ):
        await reader.positions()
        serving = asyncio.create_task(serve())
        try:
            yield asked
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
