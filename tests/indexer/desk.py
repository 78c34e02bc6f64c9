"""A real indexer process and the hands of its operator.

Products in, commands in, the state as the topics tell it.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from broker.producing import open_producer
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing
from broker.release_log import ReleaseLog
from broker.topics import ensure_topics
from embedded.launching import launch, stop
from indexer.state import UNFINISHED, State, state_of
from schemas.products import CatalogProduct
from schemas.releases import DeploymentCommand, Release, ReleaseState
from schemas.settings import IndexerSettings
from schemas.topics import CATALOG, DECISIONS, DEPLOYMENT_COMMANDS, RELEASES, dead_letter_name
from schemas.training import Decision

WORDS = (
    "red running shoes",
    "cordless drill",
    "espresso machine",
    "garden hose",
    "wool blanket",
    "desk lamp",
    "laptop sleeve",
)


def a_product(number: int, version: int = 1, title: str | None = None) -> CatalogProduct:
    name = title or f"{WORDS[number % len(WORDS)]} model {number}"
    return CatalogProduct(
        product_id=f"p{number:04d}",
        title=name,
        brand=f"brand{number % 5}",
        price=10.0 + number,
        version=version,
    )


T = TypeVar("T")


class Desk:
    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.settings = IndexerSettings.load(environ)
        self._environ = environ
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: object) -> None:
        environ = self._environ | {f"SEARCHLOOP_{name.upper()}": str(said) for name, said in settings.items()}
        with self._log.open("ab") as output:
            self._process = launch([sys.executable, "-m", "indexer"], environ, output)

    def kill(self) -> None:
        if self._process:
            stop(self._process, signal.SIGKILL, 5.0)

    def stop(self) -> int:
        assert self._process is not None
        return stop(self._process, signal.SIGTERM, 120.0)

    def log(self) -> str:
        return self._log.read_text()

    async def ensure_topics(self) -> None:
        await ensure_topics(self.settings)

    async def send(self, topic: str, *records: tuple[str, bytes | None]) -> None:
        async with open_producer(self.settings.kafka, linger_ms=0) as producer:
            await producer.send_all(
                Outgoing(self.settings.topic(topic), value, key=key.encode()) for key, value in records
            )

    async def put(self, *products: CatalogProduct) -> None:
        await self.send(CATALOG.name, *((p.product_id, p.to_json()) for p in products))

    async def delete(self, product_id: str) -> None:
        await self.send(CATALOG.name, (product_id, None))

    async def command(self, command: DeploymentCommand, *, approved: bool = True) -> None:
        """Send a command; where it brings a candidate, with the decision of its run before it."""
        if approved and (new := command.candidate):
            decision = Decision(
                decision_id=f"gate-{command.command_id}",
                run_id=new.run_id,
                verdict="pass",
                candidate_sha256=new.model_sha256,
                actor="trainer",
            )
            await self.send(DECISIONS.name, (new.run_id or "", decision.to_json()))
        await self.send(DEPLOYMENT_COMMANDS.name, ("main", command.to_json()))

    async def state(self) -> State:
        topic = await read_compacted(self.settings.kafka, self.settings.topic(RELEASES.name))
        return state_of(ReleaseLog("main", topic.records.values()))

    async def decisions(self) -> list[Decision]:
        values = await self._values(self.settings.topic(DECISIONS.name))
        return [Decision.from_json(value) for value in values if value.endswith(b"}")]

    async def dead_letters(self) -> list[bytes]:
        return await self._values(self.settings.topic(dead_letter_name(DEPLOYMENT_COMMANDS.name)))

    async def live(self, generation: int, *, sequence: int, deadline_s: float = 240.0) -> State:
        """Wait until the generation is live by the pointer of this sequence.

        And the records that follow a pointer say the same.
        """

        async def there() -> State | None:
            state = await self.state()
            pointer, release = state.pointer, state.releases.get(generation)
            if (
                not pointer
                or not release
                or (pointer.live.generation, pointer.sequence) != (generation, sequence)
            ):
                return None
            left = (
                state.releases.get(pointer.previous.generation)
                if pointer.previous and pointer.cause == "rollback"
                else None
            )
            followed = (
                release.state != ReleaseState.VERIFIED
                and release.rolled_back is None
                and (left is None or left.rolled_back)
            )
            return state if followed else None

        return await self.eventually(there, deadline_s)

    async def ended(self, generation: int) -> Release:
        """Wait until a generation is built or failed, and its collection dropped if it failed."""

        async def over() -> Release | None:
            release = (await self.state()).releases.get(generation)
            return (
                release if release and release.state not in UNFINISHED and not await self.building() else None
            )

        return await self.eventually(over)

    async def building(self) -> bool:
        return '"building"' in await self.page("readyz")

    async def metrics(self) -> str:
        return await self.page("metrics")

    async def page(self, name: str) -> str:
        port = json.loads((self.settings.data_dir / "run" / "indexer.json").read_text())["port"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/{name}") as response,
        ):
            return await response.text()

    async def eventually(
        self, condition: Callable[[], Awaitable[T | None]], deadline_s: float = 240.0, *, pause_s: float = 0.2
    ) -> T:
        end = time.monotonic() + deadline_s
        while True:
            found = await condition()
            if found:
                return found
            assert time.monotonic() < end, (
                f"not within {deadline_s} s; the indexer says:\n{self.log()[-3000:]}"
            )
            assert self._process is None or self._process.poll() is None, (
                f"the indexer ended:\n{self.log()[-5000:]}"
            )
            await asyncio.sleep(pause_s)

    async def _values(self, topic: str) -> list[bytes]:
        async with open_reader(self.settings.kafka, [topic]) as reader:
            return [r.value async for r in reader.until(await reader.end_offsets()) if r.value]
