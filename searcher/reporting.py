"""Say on ``searcher-reports`` what this searcher serves: on every change, and every few seconds as a sign of life."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from broker.producing import Producer
from broker.records import Outgoing
from schemas.releases import SearcherReport

EVERY_S = 2.0


def new_searcher_id() -> str:
    """Return an id that no other searcher has, readable for an operator: host, process, and four random digits."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


async def report(
    producer: Producer,
    topic: str,
    searcher_id: str,
    state: Callable[[], tuple[int | None, int]],
    changed: asyncio.Event,
    stopping: asyncio.Event,
) -> None:
    """Write reports until ``stopping``; ``state`` gives generation and sequence. The last one says that nothing is served any more."""
    while not stopping.is_set():
        changed.clear()
        generation, sequence = state()
        await producer.send(_record(topic, searcher_id, generation, sequence))
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), EVERY_S)
    await producer.send(_record(topic, searcher_id, None, state()[1]))


def _record(topic: str, searcher_id: str, generation: int | None, sequence: int) -> Outgoing:
    value = SearcherReport(
        searcher_id=searcher_id, generation=generation, sequence=sequence, ready=generation is not None, at=datetime.now(UTC)
    )
    return Outgoing(topic, value.to_json(), key=searcher_id.encode())
