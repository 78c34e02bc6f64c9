"""Events posted over HTTP while the broker is away and the API is killed: what was accepted counts once.

Clients post the records of a simulated shop, bad ones among them, in batches side by side, and post a batch
again until it is answered. A third of the way the API is killed (-9); half-way the broker is, for a while,
and the API once more meanwhile. Judged by the raw topics, and by the pairs that the stream makes of them:
they must be those of a reference that gets each record once.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.exactness.ground import settled
from benchmarks.exactness.pairs_audit import compare, expected, read_learnt
from benchmarks.exactness.storm import make_load, send
from benchmarks.exactness.workers import Workers, working
from benchmarks.harness.report import finish, say
from broker.producing import open_producer
from broker.reading import open_reader
from embedded.kafka import EmbeddedKafka
from embedded.ports import HOST, free_port
from schemas.rejections import Reason
from schemas.settings import ApiSettings, StreamSettings

BATCH = 200
ASK_AGAIN_S = 0.3
# Longer than the API waits for the broker
PATIENCE = aiohttp.ClientTimeout(total=20)
API_KILLS = 2
# Good, or refused where the catalogue is known
_NOT_OURS = {None, Reason.UNKNOWN_PRODUCT}


@dataclass
class PostedLoad:
    """What is to be posted, and what was said of it. ``status`` is that of each record, by its bytes."""

    waiting: list[list[bytes]]
    status: dict[bytes, str] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, values: Sequence[bytes]) -> "PostedLoad":
        """Take records in their order; what can be no part of a JSON array goes alone.

        An array is no record here, but several: those are left out.
        """
        batches, together = list[list[bytes]](), list[bytes]()
        for value in values:
            if _fits_an_array(value):
                together.append(value)
            elif not value.lstrip().startswith(b"["):
                batches.append([value])
            if len(together) == BATCH:
                batches.append(together)
                together = []
        return cls([*batches, together][::-1])

    async def post_all(self, address: str, clients: int) -> None:
        """Post by so many clients until all is answered."""

        async def client(session: aiohttp.ClientSession) -> None:
            while self.waiting:
                batch = self.waiting.pop()
                while (said := await self._posted(session, address, batch)) is None:  # noqa: ASYNC110 (it asks)
                    await asyncio.sleep(ASK_AGAIN_S)
                self.status.update(zip(batch, said, strict=True))

        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            await asyncio.gather(*(client(session) for _ in range(clients)))

    async def _posted(
        self, session: aiohttp.ClientSession, address: str, batch: Sequence[bytes]
    ) -> list[str] | None:
        """Return what became of each record; None where nobody can say."""
        body = batch[0] if len(batch) == 1 else b"[%b]" % b",".join(batch)
        headers = {"Content-Type": "application/json"}
        try:
            async with session.post(f"{address}/v1/events", data=body, headers=headers) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.unanswered[type(error).__name__] += 1
            return None
        if answer.status in {202, 400} and "results" in told:
            return [result["status"] for result in told["results"]]
        if answer.status in {400, 413}:
            return ["refused"] * len(batch)
        self.unanswered[str(answer.status)] += 1
        return None


def _fits_an_array(value: bytes) -> bool:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return isinstance(msgspec.json.decode(value), dict)
    return False


@asynccontextmanager
async def open_target(
    folder: Path,
) -> AsyncIterator[tuple[EmbeddedKafka, StreamSettings, Workers, str]]:
    """Start a broker, the stream and the API.

    Yields the broker, the stream's settings, the API and its address.
    """
    broker = EmbeddedKafka(folder / "kafka")
    broker.start()
    try:
        stream = StreamSettings(kafka=broker.address, data_dir=folder / "stream", partitions=4)
        port = free_port()
        api = ApiSettings(kafka=broker.address, data_dir=folder / "api", partitions=4, api_port=port)
        async with working(stream, 1), working(api, 1, "api") as answering:
            yield broker, stream, answering, f"http://{HOST}:{port}"
    finally:
        broker.stop()


async def disturb(load: PostedLoad, broker: EmbeddedKafka, answering: Workers, away_s: float) -> int:
    """Kill the API and the broker as the load goes on; returns how many records waited when it was over."""
    records = sum(map(len, load.waiting))

    async def answered(share: float) -> None:
        while len(load.status) < records * share:  # noqa: ASYNC110 (others fulfil it)
            await asyncio.sleep(0.01)

    await answered(1 / 3)
    answering.kill(answering.running[0])
    await answered(1 / 2)
    await asyncio.to_thread(broker.kill)
    say("the broker is away")
    await asyncio.sleep(away_s / 2)
    answering.kill(answering.running[0])
    await asyncio.sleep(away_s / 2)
    await asyncio.to_thread(broker.start)
    say("the broker is back")
    return sum(map(len, load.waiting))


async def on_the_topics(settings: StreamSettings) -> Counter[bytes]:
    """Return how often each record lies on the raw topics."""
    topics = [settings.topic(name) for name in ("searches", "interactions")]
    async with open_reader(settings, topics) as reader:
        return Counter([record.value or b"" async for record in reader.until(await reader.end_offsets())])


def told(load: PostedLoad, found: Counter[bytes], bad: Collection[bytes]) -> dict[str, Any]:
    """Return what became of the records. ``bad``: those that the shop knows to be refused."""
    accepted = {value for value, status in load.status.items() if status != "refused"}
    return {
        "records": len(load.status),
        "accepted": len(accepted),
        "refused": len(load.status) - len(accepted),
        "accepted_but_bad": len(accepted & set(bad)),
        "accepted_but_nowhere": len(accepted - found.keys()),
        "refused_but_there": len(found.keys() - accepted),
        "there_again": found.total() - len(found),
        "unanswered": dict(load.unanswered),
    }


async def run(folder: Path, *, seed: int, events: int, clients: int, away_s: float) -> dict[str, Any]:
    """Post, disturb and judge."""
    shop = make_load(seed, events)
    values = list(dict.fromkeys(record.value for record in shop.facts if record.value is not None))
    bad = {r.value for r in shop.facts if r.value is not None and r.truth.reason not in _NOT_OURS}
    load = PostedLoad.of(values)
    async with open_target(folder) as (broker, settings, answering, address):
        async with open_producer(settings, linger_ms=20) as producer:
            await send(producer, settings, shop.products)
        await settled(settings, deadline_s=300)
        started = time.monotonic()
        _, left = await asyncio.gather(
            load.post_all(address, clients), disturb(load, broker, answering, away_s)
        )
        posted_s = time.monotonic() - started
        say(f"posted within {posted_s:.0f} s; {dict(load.unanswered)}")
        await settled(settings, deadline_s=600)
        found = await on_the_topics(settings)
        pairs, right = await read_learnt(settings), expected(shop.facts)
    wrong = compare(pairs, right)
    for line in wrong.examples:
        say(line)
    return {
        **told(load, found, bad),
        "clients": clients,
        "broker_away_s": away_s,
        "api_kills": API_KILLS,
        "records_left_then": left,
        "posted_s": round(posted_s, 1),
        "pairs": len(pairs),
        "pairs_wrong": wrong.pairs,
        "lost": wrong.lost,
        "double": wrong.double,
    }


NOTHING = ("accepted_but_bad", "accepted_but_nowhere", "refused_but_there", "pairs_wrong", "lost", "double")


def main() -> int:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--away-s", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-outage-", ignore_cleanup_errors=True) as folder:
        facts = asyncio.run(
            run(
                Path(folder),
                seed=arguments.seed,
                events=arguments.events,
                clients=arguments.clients,
                away_s=arguments.away_s,
            )
        )
    ok = not any(facts[name] for name in NOTHING)
    return finish("outage", seed=arguments.seed, started=started, ok=ok, **facts)


if __name__ == "__main__":
    sys.exit(main())
