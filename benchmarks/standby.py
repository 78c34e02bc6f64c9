"""How long nothing moves when a process is killed that has a warm standby, and what a rolling restart costs.

Real processes on one machine: Kafka, Milvus Lite, two indexers, two trainers, three searchers. The working
indexer is killed (-9) again and again: with a standby beside it, and, for comparison, alone and started again
at once, as a supervisor does; measured is the time until a catalogue change made after the kill is in the
live collection. The working trainer is killed in the middle of a run: until the run goes on, and whether it
ends once. The searchers are restarted one after the other under steady requests.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks.deployment.changing_catalogue import PROBES, a_catalogue
from benchmarks.deployment.crash_audit import read
from benchmarks.harness.report import finish, say
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.instruments.traffic import Traffic, steady_traffic
from commands.support.topic_state import read_runs
from embedded.kafka import EmbeddedKafka
from embedded.launching import child_environ, launch, stop
from embedded.milvus import EmbeddedMilvus
from embedded.ports import free_port
from retrieval.index import StoreError, VectorStore
from schemas.events import Action
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.settings import Settings
from schemas.topics import CATALOG, PAIRS, TRAINING_TRIGGERS
from schemas.training import RunState, TrainingRun, Trigger

ENV = ONLY_ASKED | {
    "SEARCHLOOP_PARTITIONS": "2", "SEARCHLOOP_CATALOG_SETTLE": "PT1S", "SEARCHLOOP_VERIFY_PROBES": "20",
    "SEARCHLOOP_GUARD_SILENCE": "PT20M", "SEARCHLOOP_MIN_EVAL_QUERIES": "10",
    "SEARCHLOOP_MIN_TRAIN_PAIRS": "20", "SEARCHLOOP_TEST_DAYS": "3", "SEARCHLOOP_WEIGHT_CLICK": "1.0",
    "SEARCHLOOP_GATE_RESAMPLES": "1000", "SEARCHLOOP_GATE_MIN_CLIENTS": "1", "SEARCHLOOP_GATE_MIN_PAIRS": "1",
}  # fmt: skip
_WORDS = ("zorvel", "quimba", "trefop", "glanix", "bruvok", "meltar", "sindro", "wokkel", "pranel", "dusko")
_FORMS = ("{}", "{} cheap", "best {}", "{} online", "new {}", "buy {}")
_DAYS = range(100, 110)
_BEAT = "beat"


class Fleet:
    """Processes by name. ``kind`` of a name is what stands before its last hyphen."""

    def __init__(self, folder: Path, kafka: str, milvus: str, patience_s: float) -> None:
        self._folder, self._patience_s = folder, patience_s
        self._where = {
            "SEARCHLOOP_KAFKA": kafka,
            "SEARCHLOOP_MILVUS": milvus,
            "SEARCHLOOP_ARTEFACTS": str(folder / "store"),
        }
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}
        self._data: dict[str, str] = {}

    def start(self, name: str, *, data: str = "") -> None:
        """Start a process, with a data folder of its own, or with that of the name ``data``."""
        self._data[name] = data
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SEARCHLOOP_")}
        own = {
            "SEARCHLOOP_DATA_DIR": str(self._folder / (data or name)),
            "SEARCHLOOP_HTTP_PORT": str(self._port(name)),
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", name.rsplit("-", maxsplit=1)[0]]
            self._children[name] = launch(command, child_environ(clean, **ENV, **self._where, **own), log)

    def kill(self, name: str) -> None:
        """SIGKILL, to it and to what it has started."""
        stop(self._children.pop(name), signal.SIGKILL, 10)

    def end(self, name: str) -> int:
        """End it in order; return the exit status."""
        return stop(self._children.pop(name), signal.SIGTERM, 60)

    def stop(self) -> None:
        """Kill all that is left."""
        for name in list(self._children):
            self.kill(name)

    async def page(self, name: str) -> dict[str, Any]:
        """Return what ``/readyz`` says; empty where nothing answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self._port(name)}/readyz") as answer,
            ):
                return dict(await answer.json())
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return {}

    async def ready(self, name: str, *, standby: bool = False) -> None:
        """Wait until it does its work, or stands by for it."""

        async def so() -> bool:
            if (
                self._children[name].poll() is not None
            ):  # forked beside gRPC, one in 150 aborts before it begins
                self.start(name, data=self._data[name])
            page = await self.page(name)
            return bool(page.get("ready")) and bool(page.get("standby", False)) == standby

        await _until(so, self._patience_s, f"{name} is not ready; see its log")

    def _port(self, name: str) -> int:
        if name not in self._ports:
            self._ports[name] = free_port(besides=self._ports.values())
        return self._ports[name]


class Beat:
    """Writes one product anew all the time, and says when a change has reached the live collection."""

    def __init__(self, settings: Settings, producer: Producer, store: VectorStore) -> None:
        self._settings, self._producer, self._store = settings, producer, store
        self._version = 1

    async def until_seen(self, patience_s: float) -> float:
        """Return the seconds until a change that is made now is in the live collection."""
        started = time.monotonic()
        self._version += 1
        product = CatalogProduct(
            product_id=_BEAT, title="drum set", price=self._version, version=self._version
        )
        topic = self._settings.topic(CATALOG.name)
        await self._producer.send_all([Outgoing(topic, product.to_json(), key=_BEAT.encode())])
        await _until(self._seen, patience_s, "the index does not follow the catalogue")
        return time.monotonic() - started

    async def _seen(self) -> bool:
        pointer = (await read(self._settings)).pointer
        if pointer is None:
            return False
        try:
            rows = await asyncio.to_thread(self._store.rows, pointer.live.collection, [_BEAT])
        except StoreError:
            return False
        return any(row.version == self._version for row in rows)


async def indexers(fleet: Fleet, beat: Beat, args: argparse.Namespace) -> dict[str, Any]:
    """Kill the indexer that works, in turns with a standby and without."""
    took: dict[str, list[float]] = {"undisturbed": [], "standby": [], "restart": []}
    working, other = "indexer-a", "indexer-b"
    for number in range(args.kills):
        took["undisturbed"].append(await beat.until_seen(args.patience_s))
        fleet.start(other)
        await fleet.ready(other, standby=True)
        fleet.kill(working)
        took["standby"].append(await beat.until_seen(args.patience_s))
        working, other = other, working
        took["undisturbed"].append(await beat.until_seen(args.patience_s))
        fleet.kill(working)
        fleet.start(working)
        took["restart"].append(await beat.until_seen(args.patience_s))
        say(f"indexer {number + 1}/{args.kills}: { ({name: round(t[-1], 1) for name, t in took.items()}) }")
    return {name: _seconds(values) for name, values in took.items()}


async def searchers(
    fleet: Fleet, settings: Settings, names: list[str], args: argparse.Namespace
) -> dict[str, Any]:
    """Restart the searchers one after the other under steady requests."""
    async with (
        open_requester(settings, settings.topic("search-responses")) as requester,
        steady_traffic(requester, settings, list(PROBES), per_second=args.per_second) as traffic,
    ):
        await asyncio.sleep(3)
        traffic.phase = "steady"
        await asyncio.sleep(args.steady_s)
        traffic.phase = "rolling"
        codes = []
        for name in names:
            codes.append(await asyncio.to_thread(fleet.end, name))
            fleet.start(name)
            await fleet.ready(name)
        traffic.phase = "after"
        await asyncio.sleep(args.steady_s)
    return _told(traffic) | {"exit_codes": codes}


def _told(traffic: Traffic) -> dict[str, Any]:
    failed = [a for a in traffic.answers if a.failed]
    latency = traffic.latency_ms()
    return {
        "sent": traffic.sent,
        "failed": len(failed),
        "failed_as": sorted({a.response.status.value if a.response else "no answer" for a in failed}),
        "latency_ms": latency,
        "p99_ratio": round(latency["rolling"]["p99"] / latency["steady"]["p99"], 2),
    }


async def trainers(
    fleet: Fleet, settings: Settings, producer: Producer, args: argparse.Namespace
) -> dict[str, Any]:
    """Kill the trainer that works in the middle of a run; its standby shares its data folder."""
    fleet.start("trainer-a", data="trainer")
    await fleet.ready("trainer-a")
    fleet.start("trainer-b", data="trainer")
    await fleet.ready("trainer-b", standby=True)
    trigger = Trigger(trigger_id="standby", requested_at=datetime.now(UTC), dry_run=True)
    await producer.send_all(
        [Outgoing(settings.topic(TRAINING_TRIGGERS.name), trigger.to_json(), key=b"main")]
    )
    await _until(_state(settings, {RunState.TRAINING}), args.patience_s, "no run trains")
    (before,) = await read_runs(settings)
    fleet.kill("trainer-a")
    killed = time.monotonic()

    async def moved() -> bool:
        return (await read_runs(settings))[0].seq > before.seq

    await _until(moved, args.patience_s, "the run does not go on")
    went_on_s = time.monotonic() - killed
    ended = {state for state in RunState if state.terminal}
    await _until(_state(settings, ended), args.patience_s, "the run does not end")
    runs = await read_runs(settings)
    say(f"trainer: the run went on after {went_on_s:.1f} s and ended as {[r.state.value for r in runs]}")
    return {
        "goes_on_s": round(went_on_s, 1),
        "ends_s": round(time.monotonic() - killed, 1),
        "runs": len(runs),
        "ended_as": runs[0].state.value,
    }


def _state(settings: Settings, wanted: set[RunState]) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        runs: list[TrainingRun] = await read_runs(settings)
        return any(run.state in wanted for run in runs)

    return so


def _seconds(values: list[float]) -> dict[str, float]:
    return {"median_s": round(median(values), 2), "longest_s": round(max(values), 2), "n": len(values)}


async def _until(condition: Callable[[], Awaitable[bool]], patience_s: float, what: str) -> None:
    end = time.monotonic() + patience_s
    while not await condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {patience_s:.0f} s: {what}")
        await asyncio.sleep(0.05)


def _shop(size: int) -> tuple[list[CatalogProduct], list[Pair]]:
    """Return products, and pairs whose queries only their clicks explain."""
    catalogue = [
        *a_catalogue(size).products.values(),
        CatalogProduct(product_id=_BEAT, title="drum set", version=1),
    ]
    pairs = [
        Pair(
            query=form.format(word),
            product_id=f"probe{3 * n + place:03d}",
            days={day: {Action.CLICK: (1000 * (1 + place), 1 + place, 0)} for day in _DAYS},
            clients={f"{client:016x}": 1000 * len(_DAYS) for client in range(3)},
        )
        for n, word in enumerate(_WORDS)
        for form in _FORMS
        for place in range(2)
    ]
    return catalogue, pairs


@asynccontextmanager
async def _servers(folder: Path) -> AsyncIterator[tuple[EmbeddedKafka, EmbeddedMilvus]]:
    kafka, milvus = EmbeddedKafka(folder / "kafka"), EmbeddedMilvus(folder / "milvus")
    try:
        await asyncio.to_thread(kafka.start)
        await asyncio.to_thread(milvus.start)
        yield kafka, milvus
    finally:
        milvus.kill()
        kafka.kill()


async def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do the three parts; return the fields of the report."""
    async with _servers(folder) as (kafka, milvus):
        settings = Settings(kafka=kafka.address, milvus=milvus.address, partitions=2, data_dir=folder)
        await ensure_topics(settings)
        fleet = Fleet(folder, kafka.address, milvus.address, args.patience_s)
        try:
            async with open_producer(settings, linger_ms=0) as producer:
                products, pairs = _shop(args.products)
                await producer.send_all(
                    [
                        *(
                            Outgoing(settings.topic(CATALOG.name), p.to_json(), key=p.product_id.encode())
                            for p in products
                        ),
                        *(
                            Outgoing(
                                settings.topic(PAIRS.name), p.to_json(), key=pair_key(p.query, p.product_id)
                            )
                            for p in pairs
                        ),
                    ]
                )
                fleet.start("indexer-a")
                names = [f"searcher-{letter}" for letter in "abc"]
                for name in names:
                    fleet.start(name)
                for name in ("indexer-a", *names):
                    await fleet.ready(name)
                with await asyncio.to_thread(VectorStore, settings) as store:
                    index = await indexers(fleet, Beat(settings, producer, store), args)
                search = await searchers(fleet, settings, names, args)
                train = await trainers(fleet, settings, producer, args)
        finally:
            await asyncio.to_thread(fleet.stop)
    return {
        "ok": search["failed"] == 0
        and train["runs"] == 1
        and train["ended_as"] not in {"failed", "cancelled"},
        "indexer": index,
        "searcher": search,
        "trainer": train,
        "load_average": os.getloadavg()[0],
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=5, help="of the indexer, each with a standby and without"
    )
    parser.add_argument("--products", type=int, default=1000, help="beside 48 that are asked for")
    parser.add_argument("--per-second", type=float, default=50.0, help="requests during the rolling restart")
    parser.add_argument("--steady-s", type=float, default=20.0)
    parser.add_argument("--patience-s", type=float, default=240.0)
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-standby-") as name:
        found = asyncio.run(run(args, Path(name)))
    return finish("standby", seed=0, started=started, **found)


if __name__ == "__main__":
    raise SystemExit(main())
