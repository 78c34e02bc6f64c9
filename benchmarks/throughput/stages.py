"""The stages of the stream, each measured on what waits for it on a real broker."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.throughput.load import catalog_of, events_of
from benchmarks.throughput.measured_process import Cost, Moment, Team, Watched, cost, learners, stream_half
from benchmarks.throughput.recovery_time import recovery
from broker.producing import Producer, open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from embedded.kafka import EmbeddedKafka
from schemas.connections import KafkaConnection
from schemas.pairs import pair_key
from schemas.settings import StreamSettings
from simulator.shop import Shop

_ACCEPTED = "searchloop_intake_records_total"
_EVENTS = "searchloop_attribute_events_total"
_WRITTEN = 'searchloop_contributions_total{step="written"}'
_APPLIED = 'searchloop_contributions_total{step="applied"}'
_DEADLINE_S = 900.0


class Stages:
    """One broker, and a topic prefix of its own for every measurement."""

    def __init__(
        self, kafka: EmbeddedKafka, folder: Path, shop: Shop, events: int, recovery_pairs: int
    ) -> None:
        self.kafka, self.folder, self.shop, self.events, self.recovery_pairs = (
            kafka.address,
            folder,
            shop,
            events,
            recovery_pairs,
        )
        self._broker = psutil.Process(kafka.pid)

    def broker_cpu_s(self) -> float:
        """Return the CPU seconds that the broker has used."""
        times = self._broker.cpu_times()
        return float(times.user + times.system)

    def settings(self, name: str) -> StreamSettings:
        """Return the settings of one measurement."""
        data_dir = self.folder / name
        data_dir.mkdir(parents=True, exist_ok=True)
        return StreamSettings(kafka=self.kafka, topic_prefix=f"{name}.", data_dir=data_dir)

    async def prepare(self, settings: StreamSettings, *, raw: bool = True) -> None:
        """Make the topics, and put catalogue and events on them."""
        await ensure_topics(settings)
        if raw:
            async with open_producer(KafkaConnection(kafka=self.kafka), linger_ms=20) as producer:
                await producer.send_all(catalog_of(self.shop, settings))
                await send(producer, events_of(self.shop, settings, self.events))

    async def intake(self, settings: StreamSettings) -> Cost:
        """Measure intake over all raw events."""
        with stream_half("intake", settings) as child:
            return cost(
                *await span(child, lambda c: c.get(_ACCEPTED, 0) - len(self.shop.catalog), self.events)
            )

    async def learn(self, settings: StreamSettings) -> tuple[Cost, int]:
        """Measure both agents over the clean events of a run of intake.

        Return also the number of contributions.
        """
        with stream_half("learn", settings) as child:
            first, last = await span(
                child, lambda c: c.get(_EVENTS, 0), self.events, lambda c: c[_APPLIED] == c[_WRITTEN]
            )
            return cost(first, last), int(child.counters()[_WRITTEN])

    async def aggregate(self, source: StreamSettings, contributions: int) -> Cost:
        """Measure the aggregate agent over the contributions of ``source``."""
        target = self.settings("aggregate")
        await self.prepare(target, raw=False)
        async with (
            open_reader(KafkaConnection(kafka=self.kafka), [source.topic("contributions")]) as reader,
            open_producer(KafkaConnection(kafka=self.kafka), linger_ms=20) as producer,
        ):
            found = [r async for r in reader.until(await reader.end_offsets())]
            topic = target.topic("contributions")
            await producer.send_all(Outgoing(topic, r.value, partition=r.partition) for r in found)
        with stream_half("learn", target) as child:
            return cost(*await span(child, lambda c: c.get(_APPLIED, 0), contributions))

    async def chain(self, settings: StreamSettings, workers: int) -> dict[str, Any]:
        """Measure both processes at once, then the latency of single events.

        Last, how long one process takes to come back.
        """
        await ensure_topics(settings)
        with learners(settings, workers) as learn:
            await learn.until(learn.ready, deadline_s=120, every_s=0.02)
            await self.prepare(settings)
            with stream_half("intake", settings) as intake:
                await intake.until(
                    lambda: intake.counters().get(_ACCEPTED, 0) > len(self.shop.catalog),
                    deadline_s=120,
                    every_s=0.02,
                )
                broker_s = self.broker_cpu_s()
                first = Moment(
                    time.monotonic(), intake.cpu_s() + learn.cpu_s(), int(learn.counters().get(_EVENTS, 0))
                )
                _, last = await span(
                    learn, lambda c: c.get(_EVENTS, 0), self.events, lambda c: c[_APPLIED] == c[_WRITTEN]
                )
                whole = cost(first, Moment(last.at_s, intake.cpu_s() + learn.cpu_s(), last.done))
                broker_us = round((self.broker_cpu_s() - broker_s) * 1e6 / whole.done, 1)
                latency = await self.latency(settings)
        found: dict[str, Any] = {"chain": whole, "broker_cpu_us_per_event": broker_us, "latency_ms": latency}
        if self.recovery_pairs:
            back = await recovery(
                self.settings("recovery"), settings, self.recovery_pairs, self.recovery_pairs // 10
            )
            per_million = round((back["start_full_s"] - back["start_empty_s"]) * 1e6 / self.recovery_pairs, 1)
            found |= {"recovery_s_per_million": per_million, "recovery": back}
        return found

    async def latency(self, settings: StreamSettings, probes: int = 300) -> dict[str, float]:
        """Return how long single clicks take to stand in a pair.

        One at a time every 50 ms, while nothing else is sent.
        """
        product = next(p.product_id for p in self.shop.catalog if p.launched_in == 0 and p.deleted_in is None)
        sent: dict[bytes, float] = {}
        took: dict[bytes, float] = {}
        async with (
            open_reader(
                KafkaConnection(kafka=self.kafka), [settings.topic("pairs")], fetch_wait_ms=20
            ) as reader,
            open_producer(KafkaConnection(kafka=self.kafka), linger_ms=0) as producer,
        ):
            async for _ in reader.until(await reader.end_offsets()):
                pass

            async def watch() -> None:
                while len(took) < probes:
                    for record in await reader.poll(timeout_ms=100):
                        if record.key in sent:
                            took.setdefault(record.key, time.monotonic() - sent[record.key])

            watching = asyncio.create_task(watch())
            for n in range(probes):
                query, client = f"probe {uuid.uuid4().hex}", f"probe-{n}"
                body = {
                    "client_id": client,
                    "query_id": f"p-{query}",
                    "user_query": query,
                    "timestamp": int(time.time() * 1000),
                }
                search = body | {"query_response_hit_ids": [product]}
                click = body | {"action_name": "click", "object_id": product}
                sent[pair_key(query, product)] = time.monotonic()
                await producer.send_all(
                    Outgoing(settings.topic(topic), json.dumps(b).encode(), key=client.encode())
                    for topic, b in (("searches", search), ("interactions", click))
                )
                await asyncio.sleep(0.05)
            async with asyncio.timeout(60):
                await watching
        ms = np.array(list(took.values())) * 1000
        return {"p50": round(float(np.percentile(ms, 50)), 1), "p99": round(float(np.percentile(ms, 99)), 1)}

    async def counting(self, python: Path, script: str) -> Cost:
        """Measure one of the counting jobs, by its own clock."""
        settings = self.settings(script)
        topic = f"{script}.raw"
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        names = (topic, f"{topic}-counts", f"{topic}-changelog")
        await admin.create_topics([NewTopic(name, settings.partitions, 1) for name in names])
        await admin.close()
        async with open_producer(KafkaConnection(kafka=self.kafka), linger_ms=20) as producer:
            events = events_of(self.shop, settings, self.events)
            await send(producer, (Outgoing(topic, r.value, key=r.key) for r in events))
        path = Path(__file__).with_name(f"{script}.py")
        child = await asyncio.create_subprocess_exec(
            str(python),
            str(path),
            self.kafka,
            topic,
            str(self.events),
            stdout=asyncio.subprocess.PIPE,
            cwd=settings.data_dir,
        )
        async with asyncio.timeout(_DEADLINE_S):
            out, _ = await child.communicate()
        if child.returncode:
            raise RuntimeError(f"{script} ended with status {child.returncode}")
        found = json.loads(out.splitlines()[-1])
        return Cost(
            found["events"],
            round(found["events"] / found["seconds"]),
            round(found["cpu_s"] * 1e6 / found["events"], 1),
        )


async def send(producer: Producer, records: Any) -> None:
    """Send many records, some thousands at a time."""
    waiting: list[Outgoing] = []
    for record in records:
        waiting.append(record)
        if len(waiting) == 5000:
            await producer.send_all(waiting)
            waiting.clear()
    await producer.send_all(waiting)


async def span(
    child: Watched | Team,
    done: Callable[[dict[str, float]], float],
    total: int,
    settled: Callable[[dict[str, float]], bool] = lambda _: True,
) -> tuple[Moment, Moment]:
    """Return the first moment with something done, and the moment when all is done and settled."""
    moments: list[Moment] = []

    def progressed() -> bool:
        counters = child.counters()
        number = int(done(counters)) if counters else 0
        if number > 0:
            moments.append(Moment(time.monotonic(), child.cpu_s(), number))
        return number >= total and settled(counters)

    await child.until(progressed, deadline_s=_DEADLINE_S, every_s=0.1)
    return moments[0], moments[-1]
