"""Clients that nobody here wrote, against the running stack.

What of theirs is accepted, refused and answered, client by client. The programs are the snippets of
``docs/clients.md``. Each sends a product and what a shopper did with it, and asks one search.
`python -m benchmarks.clients` (all that this machine can run) or `--only kafkajs,franz-go`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.report import finish, say
from benchmarks.interop.client_kits import KITS, Kit, KitError, snippets
from broker.producing import open_producer
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.pages import read_page
from embedded.supervisor import Supervisor
from schemas.batches import unpack
from schemas.events import CleanInteraction, CleanSearch, read_clean_event
from schemas.settings import Settings
from schemas.topics import dead_letter_name

SENT = 3  # a product and two events
SETTLE_S = 120.0  # also for an answer that comes in time
_AT_ONCE = 3
_SEED = {"product_id": "seed", "title": "Storm shell jacket"}


async def audit(settings: Settings, mark: str) -> dict[str, Any]:
    """Return what became of a client's records: accepted, and refused by reason."""
    catalog = await read_compacted(settings, settings.topic("catalog"))
    accepted = int(f"{mark}-1".encode() in catalog.records)
    async with open_reader(settings, [settings.topic("events")]) as reader:
        async for record in reader.until(await reader.end_offsets()):
            events = (read_clean_event(raw) for _, raw in unpack(record.value or b""))
            accepted += sum(
                isinstance(e, CleanSearch | CleanInteraction)
                and e.shopper == f"{mark}-shopper"
                and not _own(e)
                for e in events
            )
    refused: Counter[str] = Counter()
    letters = [settings.topic(dead_letter_name(name)) for name in ("products", "searches", "interactions")]
    async with open_reader(settings, letters) as reader:
        async for record in reader.until(await reader.end_offsets()):
            if f'"{mark}-'.encode() in (record.value or b""):
                refused[(record.header("dlq.reason") or b"?").decode()] += 1
    return {"accepted": accepted, "refused": dict(refused)}


def _own(event: CleanSearch | CleanInteraction) -> bool:
    """Whether the searcher wrote it, when it answered the client's request."""
    return isinstance(event, CleanSearch) and event.generation is not None


async def try_client(
    name: str,
    kit: Kit,
    prepared: asyncio.Task[None],
    folder: Path,
    settings: Settings,
    where: Mapping[str, str],
) -> dict[str, Any]:
    """Run one client, and wait until what it sent has ended somewhere."""
    if missing := kit.missing():
        return {"skipped": f"{', '.join(missing)} is not on this machine"}
    try:
        await prepared
        say(f"{name}: running")
        told = await asyncio.to_thread(kit.run, folder, **where)
    except KitError as error:
        return {"error": str(error)}
    end = time.monotonic() + SETTLE_S
    found = await audit(settings, kit.mark)
    while found["accepted"] + sum(found["refused"].values()) < SENT and time.monotonic() < end:
        await asyncio.sleep(0.5)
        found = await audit(settings, kit.mark)
    answer = told
    while answer["status"] == "expired" and time.monotonic() < end:  # as the page says of a busy machine
        answer = await asyncio.to_thread(kit.run, folder, **where)
    say(f"{name}: {found} {answer['status']}")
    return {
        "sent": told["sent"],
        **found,
        "asked": answer["asked"],
        "answered": answer["answered"],
        "status": answer["status"],
    }


def held(row: dict[str, Any]) -> bool:
    """Whether all that a client sent was taken, and its search answered with hits or an honest empty list."""
    return "skipped" in row or (
        row.get("accepted") == SENT
        and not row["refused"]
        and row["answered"] == row["asked"]
        and row["status"] == "ok"
    )


async def run(names: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Start a stack with one product, and try the clients on it, one after the other.

    Their libraries are installed meanwhile, a few at once: that is mostly waiting for registries.
    """
    codes, few = snippets(), asyncio.Semaphore(_AT_ONCE)

    async def prepare(name: str) -> None:
        if not KITS[name].missing():
            async with few:
                await asyncio.to_thread(KITS[name].prepare, codes[name], folder / name)

    prepared = {name: asyncio.create_task(prepare(name)) for name in names}
    try:
        async with Supervisor(data_dir=folder / "stack", env=ONLY_ASKED, quiet=True) as stack:
            return await _try_all(stack, folder, prepared)
    finally:
        for task in prepared.values():
            task.cancel()  # where the stack did not start
        await asyncio.gather(*prepared.values(), return_exceptions=True)


async def _try_all(
    stack: Supervisor, folder: Path, prepared: Mapping[str, asyncio.Task[None]]
) -> dict[str, dict[str, Any]]:
    settings = Settings.load(
        {
            "SEARCHLOOP_KAFKA": stack.kafka,
            "SEARCHLOOP_MILVUS": stack.milvus,
            "SEARCHLOOP_DATA_DIR": str(stack.data_dir),
        }
    )
    await ensure_topics(settings)
    async with open_producer(settings) as producer:
        await producer.send(Outgoing(settings.topic("products"), json.dumps(_SEED).encode(), key=b"seed"))
    await stack.ready(600)
    api = await asyncio.to_thread(read_page, settings, "api", "readyz")
    where = {"KAFKA": settings.kafka, "PREFIX": settings.topic_prefix, "API": str(api["address"])}
    return {
        name: await try_client(name, KITS[name], task, folder / name, settings, where)
        for name, task in prepared.items()
    }


def main() -> int:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("--only", default=",".join(KITS), help="clients, comma separated")
    parser.add_argument(
        "--seed", type=int, default=1, help="for the form of every benchmark; nothing here is random"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-clients-") as folder:
        clients = asyncio.run(run(arguments.only.split(","), Path(folder)))
    return finish(
        "clients",
        seed=arguments.seed,
        started=started,
        ok=all(held(row) for row in clients.values()),
        clients=clients,
    )


if __name__ == "__main__":
    sys.exit(main())
