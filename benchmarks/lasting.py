"""What the learning process holds and how it comes back.

Recovery of a million pairs, and memory over a year of event time. ``recovery``: the changelogs are filled
with copies of what a run has learnt, under other queries and shoppers; measured is how much longer one
process takes to be ready than with empty ones. ``memory``: the events of four weeks again and again, each
time four weeks later and by shoppers who never come back, with the same products and queries; the resident
size after each round. Real processes, a real broker.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.harness.report import finish, say
from benchmarks.throughput.load import events_of, shop_of
from benchmarks.throughput.measured_process import stream_half
from benchmarks.throughput.recovery_time import recovery, values_of
from broker.producing import open_producer
from broker.records import Record
from broker.topics import ensure_topics
from embedded.kafka import EmbeddedKafka
from inbound.validation import validate_interaction, validate_search
from schemas.events import CleanInteraction, CleanSearch
from schemas.pairs import Pair
from schemas.settings import StreamSettings
from schemas.topics import EVENTS, PAIRS, SHOPPERS
from simulator.shop import Shop
from stream.packing import pack_by_key

WEEKS_MS = 28 * 86_400_000
_SIZES_EVERY = 10  # rounds
_DEADLINE_S = 600.0
CleanEvent = CleanSearch | CleanInteraction


async def memory(settings: StreamSettings, shop: Shop, rounds: int) -> list[dict[str, float]]:
    """Return what one process holds after each round of four weeks."""
    await ensure_topics(settings)
    events = list(_clean(shop, settings))
    held: list[dict[str, float]] = []
    with stream_half("learn", settings) as child:
        await child.until(child.ready, deadline_s=60)
        async with open_producer(settings, linger_ms=20) as producer:
            for number in range(rounds):
                moved = (_moved(event, number) for event in events)
                facts = [(event.shopper, event.to_json()) for event in moved]
                await producer.send_all(pack_by_key(facts, settings.topic(EVENTS.name), settings.partitions))
                total = (number + 1) * len(events)

                def done(total: int = total) -> bool:
                    seen = child.counters()
                    written, applied = (
                        seen.get(f'searchloop_contributions_total{{step="{s}"}}', 0)
                        for s in ("written", "applied")
                    )
                    return seen.get("searchloop_attribute_events_total", 0) >= total and written == applied

                await child.until(done, deadline_s=_DEADLINE_S)
                held.append({"events": total, "rss_mb": child.rss_mb()})
                if (number + 1) % _SIZES_EVERY == 0:
                    held[-1] |= await _sizes(settings)
                say(f"after round {number + 1}: {held[-1]}")
    return held


async def _sizes(settings: StreamSettings) -> dict[str, float]:
    """Return how many shoppers and pairs there are, and how many days and clients a pair holds."""
    shoppers, stored = await values_of(settings, SHOPPERS), await values_of(settings, PAIRS)
    pairs = [Pair.from_json(value) for value in stored]
    count = max(1, len(pairs))
    return {
        "shoppers": len(shoppers),
        "pairs": len(pairs),
        "days_per_pair": round(sum(len(pair.days) for pair in pairs) / count, 2),
        "clients_per_pair": round(sum(len(pair.clients) for pair in pairs) / count, 2),
        "bytes_per_pair": round(sum(map(len, stored)) / count),
    }


def _clean(shop: Shop, settings: StreamSettings) -> Iterator[CleanEvent]:
    searches, now = settings.topic("searches"), datetime.now(UTC)
    liberal = settings.model_copy(update={"max_event_age": timedelta(days=3650)})
    count = sum(r.topic_name != "products" for r in shop.all_events())
    for n, raw in enumerate(events_of(shop, settings, count)):
        check = validate_search if raw.topic == searches else validate_interaction
        event = check(Record(raw.topic, 0, n, 0, raw.key, raw.value), now, liberal)
        if isinstance(event, CleanSearch | CleanInteraction):
            yield event


def _moved(event: CleanEvent, number: int) -> CleanEvent:
    """Return the event four weeks later for each round before, of another shopper."""

    def own(name: str | None) -> str | None:
        return f"{name}-{number}" if name else None

    ids: dict[str, Any] = {
        "event_id": own(event.event_id),
        "shopper": own(event.shopper),
        "query_id": own(event.query_id),
        "session_id": own(event.session_id),
    }
    ids["at_ms"] = event.at_ms + number * WEEKS_MS
    if isinstance(event, CleanSearch):
        return replace(event, **ids)
    lines = [replace(line, query_id=own(line.query_id)) for line in event.lines]
    return replace(event, **ids, order_id=own(event.order_id), lines=lines)


async def measure(args: argparse.Namespace) -> int:
    """Run both; return the exit code."""
    started = time.monotonic()
    shop = shop_of(args.seed, datetime.now(UTC))
    with (
        tempfile.TemporaryDirectory(prefix="searchloop-lasting-") as name,
        EmbeddedKafka(Path(name) / "kafka") as kafka,
    ):

        def settings(prefix: str) -> StreamSettings:
            (Path(name) / prefix).mkdir()
            return StreamSettings(
                kafka=kafka.address, topic_prefix=f"{prefix}.", data_dir=Path(name) / prefix
            )

        year = settings("year")
        held = await memory(year, shop, args.rounds)
        back = await recovery(settings("recovery"), year, args.pairs, args.shoppers)
        say(f"recovery: {back}")
    return finish(
        "lasting",
        seed=args.seed,
        started=started,
        ok=True,
        load_average=os.getloadavg(),
        memory=held,
        recovery=back,
        recovery_s_per_million=round((back["start_full_s"] - back["start_empty_s"]) * 1e6 / args.pairs, 1),
    )


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--shoppers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=13, help="of four weeks each")
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
