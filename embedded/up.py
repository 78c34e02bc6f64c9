"""``searchloop up``: the stack from start to Ctrl-C, SIGTERM or the terminal's end.

A second signal kills what is still stopping.
"""

import asyncio
import math
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from embedded.errors import NotReadyError
from embedded.supervisor import PROCESSES, Supervisor

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up(
    data_dir: Path,
    *,
    env: Mapping[str, str] | None = None,
    processes: Sequence[str] = PROCESSES,
    commands: Mapping[str, list[str]] | None = None,
    kafka_port: int | None = None,
    milvus_port: int | None = None,
    up_within_s: float = 180.0,
) -> int:
    """Run until stopped. Returns the exit status.

    0 after a signal; 1 when a process refused its settings at the start, or all of them did later.
    Raises ``EmbeddedError`` or ``SettingsError`` when it cannot start, with nothing left running.
    """
    stack = Supervisor(
        data_dir=data_dir,
        env=env,
        processes=processes,
        commands=commands,
        kafka_port=kafka_port,
        milvus_port=milvus_port,
    )
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            stack.hurry()
        else:
            stack.say("stopping, one after the other; a second signal kills what is left")
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    work = asyncio.create_task(_run(stack, processes, up_within_s))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        work.cancel()
        await asyncio.wait({work})
        return 0
    finally:
        stop.cancel()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _run(stack: Supervisor, processes: Sequence[str], within_s: float) -> int:
    begun = asyncio.get_running_loop().time()
    async with stack:
        try:
            await stack.ready(within_s, page="healthz")
        except NotReadyError as error:
            stack.say(str(error))
            if stack.refused():
                return 1
        else:
            stack.say(
                f"searchloop is up after {asyncio.get_running_loop().time() - begun:.1f} s; Ctrl-C stops it"
            )
        stack.say(
            f"clients find Kafka at {stack.kafka} (bootstrap.servers); Milvus is at {stack.milvus}. "
            "--kafka-port takes another"
        )
        announcing = [asyncio.create_task(_announce(stack))]
        if "api" in processes:
            announcing.append(asyncio.create_task(_announce_console(stack)))
        try:
            await stack.watch()
        finally:
            for task in announcing:
                task.cancel()
        return 1  # every process refused its settings


async def _announce(stack: Supervisor) -> None:
    with suppress(NotReadyError):  # a refusal is in the log already
        await stack.ready(math.inf)
        stack.say("every process is ready")


async def _announce_console(stack: Supervisor) -> None:
    stack.say(f"open {await stack.api()}/console in a browser")
