"""Send records that nobody foresaw to every open topic of a running stack.

No process may end, and every record must be accounted for. ``python -m benchmarks.fuzz --records N`` (of each
topic), or N from ``SEARCHLOOP_FUZZ_RECORDS``; the last line is one JSON object.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producing
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from benchmarks.harness.report import finish, say
from benchmarks.intake.odd_names import OddName
from benchmarks.intake.strange_records import Strange, bodies, strange
from broker.group_lag import open_lag_reader
from broker.reading import open_reader
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.pages import read_page
from embedded.supervisor import PROCESSES, Supervisor
from schemas.settings import IndexerSettings, Settings, StreamSettings
from schemas.topics import DEPLOYMENT_COMMANDS, RAW, SEARCH_REQUESTS, TRAINING_TRIGGERS
from stream.lag import steps_of

_AT_ONCE = 500
_QUIET_S = 120.0


def records(count: int, seed: int, now_ms: int) -> list[Strange]:
    """Return as many records of each topic, mixed."""
    rng = Random(seed)
    made = [strange(topic, body, rng, now_ms) for topic, body in bodies(now_ms).items() for _ in range(count)]
    rng.shuffle(made)
    return made


async def send(settings: Settings, found: Iterable[Strange]) -> Counter[str]:
    """Send records; return how many of each topic the broker has taken: the rest it refuses itself."""
    kept = message_accumulator.DefaultRecordBatchBuilder, producing.DefaultRecordBatchBuilder
    # Writes any name
    message_accumulator.DefaultRecordBatchBuilder = producing.DefaultRecordBatchBuilder = (
        _DefaultRecordBatchBuilderPy
    )
    taken: Counter[str] = Counter()
    try:
        async with AIOKafkaProducer(
            bootstrap_servers=settings.kafka, linger_ms=10, max_request_size=4 << 20
        ) as producer:
            waiting: list[tuple[str, asyncio.Future[Any]]] = []
            for r in found:
                # Aiokafka writes no record without both
                key = b"" if r.key is None and r.value is None else r.key
                headers = [(OddName(name), value) for name, value in r.headers]
                sent = await producer.send(
                    settings.topic(r.topic), r.value, key=key, headers=headers, timestamp_ms=r.timestamp_ms
                )
                waiting.append((r.topic, sent))
                if len(waiting) >= _AT_ONCE:
                    taken += await _acknowledged(waiting)
                    waiting = []
            return taken + await _acknowledged(waiting)
    finally:
        message_accumulator.DefaultRecordBatchBuilder, producing.DefaultRecordBatchBuilder = kept


async def _acknowledged(waiting: list[tuple[str, asyncio.Future[Any]]]) -> Counter[str]:
    outcomes = await asyncio.gather(*(sent for _, sent in waiting), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, KafkaError):
            raise outcome
    return Counter(
        topic
        for (topic, _), outcome in zip(waiting, outcomes, strict=True)
        if not isinstance(outcome, KafkaError)
    )


async def read_to_end(settings: Settings) -> dict[str, int]:
    """Wait until every group has read everything, as long as one of them moves.

    Returns what is left, per group and topic.
    """
    prefix, deployment = settings.topic_prefix, IndexerSettings.load({}).deployment
    groups = [(group, names) for _, group, names in steps_of(StreamSettings.load({}), ("intake", "learn"))]
    groups += [
        (f"{prefix}trainer", (TRAINING_TRIGGERS.name,)),
        (f"{prefix}indexer-{deployment}", (DEPLOYMENT_COMMANDS.name,)),
        (settings.topic(f"searcher-{deployment}"), (SEARCH_REQUESTS.name,)),
    ]
    before: dict[str, int] = {}
    moved = time.monotonic()
    async with open_lag_reader(settings) as reader:
        while True:
            left: dict[str, int] = {}
            for group, names in groups:
                found = await reader.lag(group, [settings.topic(name) for name in names])
                left |= {f"{group} {t}": n for t, n in (found or {f"{group} ?": 1}).items() if n}
            if not left or time.monotonic() - moved > _QUIET_S:
                return left
            if left != before:
                before, moved = left, time.monotonic()
            await asyncio.sleep(1)


async def fuzz(stack: Supervisor, settings: Settings, count: int, seed: int) -> dict[str, Any]:
    """Send ``count`` records to each topic of a stack that is ready; return what became of them.

    ``faults`` is empty when all held.
    """
    earlier, before = await _read(settings), await _ends(settings)
    restarts = {name: stack.restarts(name) for name in PROCESSES}
    taken = await send(settings, records(count, seed, int(time.time() * 1000)))
    say(f"sent {taken.total()}")
    left = await read_to_end(settings)
    faults = [f"{name} was started again" for name in PROCESSES if stack.restarts(name) != restarts[name]]
    faults += [f"{n} records left: {where}" for where, n in left.items()]
    now, after = await _read(settings), await _ends(settings)
    # An event whose product has come goes back to its topic, and may do so in this very moment
    for _ in range(60):
        if all(
            now.get(t, {}).get("read", 0) - earlier.get(t, {}).get("read", 0) == n - before[t]
            for t, n in after.items()
        ):
            break
        await asyncio.sleep(1)
        now, after = await _read(settings), await _ends(settings)
    counts = {
        t.name: {k: n - earlier.get(t.name, {}).get(k, 0) for k, n in now.get(t.name, {}).items()}
        for t in RAW
    }
    for topic, row in counts.items():
        written = after[topic] - before[topic]
        accounted = row.get("accepted", 0) + row.get("refused", 0) + row.get("ignored", 0)
        if not written == row.get("read") == accounted or written < taken[topic]:
            faults.append(f"{topic}: {taken[topic]} sent, {written} written, {row}")
    unforeseen = sum(
        stack.log_path(name).read_text(errors="replace").count("a fault of ours") for name in PROCESSES
    )
    return {"sent": dict(taken), "became": counts, "processing_errors": unforeseen, "faults": faults}


async def _ends(settings: Settings) -> dict[str, int]:
    """Return how many records each raw topic has ever had, those that were sent back included."""
    full = {settings.topic(t.name): t.name for t in RAW}
    async with open_reader(settings, list(full), start="end") as reader:
        ends = await reader.end_offsets()
    return {
        name: sum(end for (topic, _), end in ends.items() if topic == whole) for whole, name in full.items()
    }


async def _read(settings: Settings) -> dict[str, dict[str, int]]:
    """Return what was counted of each raw topic; a busy process is asked again until it answers."""
    end = time.monotonic() + _QUIET_S
    while True:
        found = read_page(settings, "stream", "readyz").get("intake")
        if isinstance(found, dict):
            return {topic: dict(row) for topic, row in found.items()}
        if time.monotonic() > end:
            return {}
        await asyncio.sleep(0.5)


async def _run(count: int, seed: int, folder: Path) -> dict[str, Any]:
    async with Supervisor(data_dir=folder, env=ONLY_ASKED, quiet=True) as stack:
        settings = Settings.load(
            {
                "SEARCHLOOP_KAFKA": stack.kafka,
                "SEARCHLOOP_MILVUS": stack.milvus,
                "SEARCHLOOP_DATA_DIR": str(folder),
            }
        )
        await ensure_topics(settings)
        good = [Strange("products", b"p1", b'{"product_id": "p1", "title": "Red mug"}', (), None)]
        await send(settings, good)
        await stack.ready(300)
        return await fuzz(stack, settings, count, seed)


def main() -> int:
    """Run; 0 when no process ended and every record was accounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=int(os.environ.get("SEARCHLOOP_FUZZ_RECORDS", "2000")))
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-fuzz-") as folder:
        found = asyncio.run(_run(args.records, args.seed, Path(folder)))
    return finish("fuzz", seed=args.seed, started=started, ok=not found["faults"], **found)


if __name__ == "__main__":
    raise SystemExit(main())
