"""Say on ``searcher-reports`` what this searcher serves.

On every change, and every few seconds as a sign of life.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress

from broker.producing import Producer
from broker.records import Outgoing
from schemas.releases import SearcherReport

EVERY_S = 2.0


def new_searcher_id() -> str:
    """Return an id that no other searcher has, readable for an operator.

    Host, process, and four random digits.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


async def report(
    producer: Producer,
    topic: str,
    state: Callable[[], SearcherReport],
    changed: asyncio.Event,
    stopping: asyncio.Event,
) -> None:
    """Write reports until ``stopping``; ``state`` gives what is so now.

    The last says that nothing is served; a null value ends them.
    """
    while not stopping.is_set():
        changed.clear()
        await producer.send(_record(topic, state()))
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await changed.wait()
    await producer.send(
        _record(topic, state().model_copy(update={"generation": None, "ready": False, "problem": None}))
    )
    await producer.send(Outgoing(topic, None, key=state().searcher_id.encode()))


def _record(topic: str, value: SearcherReport) -> Outgoing:
    return Outgoing(topic, value.to_json(), key=value.searcher_id.encode())
