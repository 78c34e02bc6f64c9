"""Attacks on work, memory and servers.

Floods, bombs, heavy requests, connections that promise much, servers that hang, a full disk.
"""

import asyncio
import json
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.attacks.beside import honest_searches, watched_memory
from benchmarks.attacks.target import AttackRecord, RunningStack
from embedded.probing import says_yes
from embedded.supervisor import Supervisor
from schemas.search import SearchRequest
from schemas.training import Trigger

_MB = 1 << 20
_MOST_MB = 400.0
_ERASURES = 4000
_TRIGGERS = 30_000
_SOON_S = 60.0
_HANG_S = 60.0
_READY_S = 180.0


async def _during(stand: RunningStack, process: str) -> tuple[float | None, int, int]:
    """Wait until a process goes on.

    Returns the seconds, how often its page was asked meanwhile, and how often it did not answer.
    """
    asked = silent = 0
    probe = asyncio.create_task(stand.goes_on(process, within_s=300))
    while not probe.done():
        asked += 1
        silent += not (await stand.pages("healthz"))[process]
        await asyncio.sleep(1)
    return await probe, asked, silent


async def erasures(stand: RunningStack) -> dict[str, Any]:
    """Ask to forget 4,000 shoppers whom nobody knows."""
    now = datetime.now(UTC).isoformat()
    cpu = stand.cpu_s("stream")
    wishes = (
        f'{{"event_id":"e{n}","timestamp":"{now}","client_id":"unknown-{n}"}}'.encode()
        for n in range(_ERASURES)
    )
    await stand.send(
        AttackRecord(topic="erasures", value=wish, key=b"unknown-%d" % n) for n, wish in enumerate(wishes)
    )
    took, asked, silent = await _during(stand, "stream")
    used = round(stand.cpu_s("stream") - cpu, 1)
    held = took is not None and took <= _SOON_S and silent == 0
    return {
        "held": held,
        "records": _ERASURES,
        "seconds": took,
        "cpu_s": used,
        "pages_asked": asked,
        "pages_silent": silent,
    }


async def triggers(stand: RunningStack) -> dict[str, Any]:
    """Ask for 30,000 runs, each a cancellation of a run that does not exist."""
    now = datetime.now(UTC)
    flood = (
        Trigger(trigger_id=f"f{n}", requested_at=now, cancels=f"no-run-{n}").to_json()
        for n in range(_TRIGGERS)
    )
    key = stand.settings.deployment.encode()
    await stand.send(AttackRecord(topic="training-triggers", value=value, key=key) for value in flood)
    took, asked, silent = await _during(stand, "trainer")
    held = took is not None and took <= _SOON_S and silent == 0
    return {"held": held, "records": _TRIGGERS, "seconds": took, "pages_asked": asked, "pages_silent": silent}


async def bombs(stand: RunningStack) -> dict[str, Any]:
    """Send records of zeros that are small on disk: to intake and to the searcher."""
    found: dict[str, Any] = {"held": True}
    for process, topic in (("stream", "interactions"), ("searcher", "search-requests")):
        async with watched_memory(stand) as rose:
            for _ in range(4):
                await stand.send([AttackRecord(topic=topic, value=bytes(256 * _MB), key=b"bomb")])
            took = await stand.goes_on(process)
        found[process] = {"seconds": took, "rose_mb": rose[process]}
        found["held"] = found["held"] and took is not None and rose[process] <= _MOST_MB
    return {**found, "records": "4 of 256 MB each", "most_mb": _MOST_MB}


async def heavy_requests(stand: RunningStack) -> dict[str, Any]:
    """Ask with 7 MB of filter text, with 2,000 values, and 300 times for 200 hits.

    An honest client searches beside it.
    """
    text = {"field": "brand", "value": "x" * (7 * _MB)}
    values = {"field": "category", "op": "in", "value": [f"category {n}" for n in range(100)]}
    raw = [
        SearchRequest(
            request_id=uuid.uuid4().hex, user_query=f"{n} jacket", k=200, client_id="heavy"
        ).to_json()
        for n in range(300)
    ]
    body = b'{"request_id":"%s","user_query":"jacket","client_id":"heavy","filters":[%s]}'
    long = [body % (uuid.uuid4().hex.encode(), _json(text)) for _ in range(12)]
    many = [body % (uuid.uuid4().hex.encode(), b",".join([_json(values)] * 20)) for _ in range(30)]
    async with honest_searches(stand) as seen, watched_memory(stand) as rose:
        for records in (long, many, raw):
            await stand.send(
                AttackRecord(topic="search-requests", value=value, key=None) for value in records
            )
            await asyncio.sleep(8)
    held = seen.answered == seen.asked and rose["searcher"] <= _MOST_MB
    return {"held": held, "honest": vars(seen), "searcher_rose_mb": rose["searcher"]}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


async def promising_connections(stand: RunningStack) -> dict[str, Any]:
    """Hold 3 connections to Kafka that announce 100 MB each and send one byte of it."""
    host, _, port = stand.stack.kafka.rpartition(":")
    with ExitStack() as held:
        for _ in range(3):
            connection = held.enter_context(socket.create_connection((host, int(port)), timeout=10))
            connection.sendall(struct.pack(">ib", 100_000_000, 0))
        async with honest_searches(stand) as seen:
            await asyncio.sleep(15)
    return {"held": seen.answered == seen.asked, "honest": vars(seen)}


async def hanging_servers(stand: RunningStack) -> dict[str, Any]:
    """Stop Kafka, then Milvus, without ending it.

    Who needs it must say that it is not ready, and serve again once it goes on.
    """
    found: dict[str, Any] = {"held": True}
    for server, users in (
        ("kafka", ("stream", "indexer", "searcher", "trainer")),
        ("milvus", ("indexer", "searcher")),
    ):
        await stand.stack.ready(_READY_S)  # what the server before has left must not be taken for this one's
        parent = psutil.Process(stand.stack.pid(server))
        processes = [parent, *parent.children(recursive=True)]
        for process in processes:
            process.suspend()
        told_after: dict[str, float | None] = dict.fromkeys(users)
        try:
            started = time.monotonic()
            while time.monotonic() - started < _HANG_S and None in told_after.values():
                pages = await stand.pages("readyz")
                for name in users:
                    if not pages[name] and told_after[name] is None:
                        told_after[name] = round(time.monotonic() - started, 1)
                await asyncio.sleep(1)
        finally:
            for process in processes:
                process.resume()
        again = await stand.goes_on("searcher")
        found[server] = {"not_ready_after_s": told_after, "search_again_after_s": again}
        found["held"] = found["held"] and None not in told_after.values() and again is not None
    return found


@contextmanager
def _small_disk(folder: Path, mb: int) -> Iterator[bool]:
    """Mount a disk of so many MB; yields False where this process may not."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(folder)]
    mounted = False
    with suppress(OSError):
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


async def full_disk(stand: RunningStack) -> dict[str, Any]:
    """Fill the disk under a second stack, which writes its log of Kafka there, then free it."""
    folder = stand.folder / "small"
    with _small_disk(folder, 400) as mounted:
        if not mounted:
            return {"held": True, "skipped": "a disk to fill needs the right to mount one"}
        async with Supervisor(
            data_dir=folder / "stack", processes=("stream",), env={"SEARCHLOOP_PARTITIONS": "1"}, quiet=True
        ) as stack:
            await stack.ready(180)
            ballast = folder / "ballast"
            _fill(ballast)
            await asyncio.sleep(15)
            ballast.unlink()
            again, end = False, time.monotonic() + _READY_S
            async with aiohttp.ClientSession() as session:
                while not again and time.monotonic() < end:
                    await asyncio.sleep(0.5)
                    again = await says_yes("readyz", folder / "stack", "stream", session)
            return {
                "held": again,
                "ready_again": again,
                "restarts": {n: stack.restarts(n) for n in ("kafka", "milvus", "stream")},
            }


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (_MB, 1 << 12):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
