"""The real process against a real broker.

Counted once through kill -9, refused with a reason, ended in order.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from broker.claiming import CLAIM_KEY
from broker.producing import open_producer
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from embedded.launching import child_environ, launch
from schemas.pairs import Pair
from schemas.settings import StreamSettings
from stream.packing import pack_by_key
from tests.stream.builders import DAY, search
from tests.stream.shop import comparable, engagements, expected, outgoing, products

pytestmark = pytest.mark.broker


@pytest.fixture
def stream_settings(kafka, topic_prefix, tmp_path):
    """A process that stalls keeps its partitions: what is taken away is read, and counted, again."""
    return StreamSettings(
        kafka=kafka, topic_prefix=topic_prefix, data_dir=tmp_path, partitions=2, broker_session_timeout_s=30.0
    )


@pytest.fixture
def killed_settings(stream_settings):
    """Those of a process whose partitions the next one need not wait for when it is killed."""
    return stream_settings.model_copy(update={"broker_session_timeout_s": 6.0})


@contextmanager
def stream(settings, *arguments):
    log = (settings.data_dir / "stream.log").open("ab")
    child = launch(
        [sys.executable, "-m", "stream", *arguments], child_environ(os.environ, **settings.environ()), log
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        log.close()


async def until(condition, settings, deadline_s=240):
    async def wait():
        while not await condition():  # noqa: ASYNC110 (another process fulfils it)
            await asyncio.sleep(0.2)  # between two looks

    try:
        await asyncio.wait_for(wait(), deadline_s)
    except TimeoutError:
        pytest.fail("not in time; log:\n" + (settings.data_dir / "stream.log").read_text()[-6000:])


async def pairs_of(settings):
    stored = await read_compacted(settings.kafka, settings.topic("pairs"))
    return comparable({key: Pair.from_json(record.value) for key, record in stored.records.items()})


async def records_of(settings, topic):
    async with open_reader(settings.kafka, [settings.topic(topic)]) as reader:
        return [record async for record in reader.until(await reader.end_offsets())]


def page(settings: StreamSettings, name: str) -> dict:
    announced = settings.data_dir / "run" / "stream.json"
    if not Path(announced).exists():
        return {}
    port = json.loads(announced.read_text())["port"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return {}


async def test_everything_is_counted_once_though_the_process_is_killed(killed_settings):
    s = killed_settings
    now = datetime.now(UTC)
    raw = engagements(120, 20, until_ms=int(now.timestamp() * 1000))
    wanted = expected(raw, now)
    await ensure_topics(s)
    async with open_producer(s.kafka) as producer:
        await producer.send_all(outgoing(products(20), s))
        await producer.send_all(outgoing(raw[: len(raw) // 3], s))
        with stream(s) as child:

            async def some_counted():
                return len(await pairs_of(s)) > 10

            await until(some_counted, s)
            sending = asyncio.create_task(producer.send_all(outgoing(raw[len(raw) // 3 :], s)))
            # So that the kill falls into the middle of the work; any moment must do
            await asyncio.sleep(0.15)
            child.send_signal(signal.SIGKILL)
            await sending
        # What was sent twice by a producer that never heard back counts once too.
        await producer.send_all(outgoing([r for r in raw if r[0] == "interactions"][:200], s))
        with stream(s) as child:

            async def all_counted():
                return await pairs_of(s) == wanted

            await until(all_counted, s)

            async def ready():
                return page(s, "readyz").get("ready")

            await until(ready, s)
            child.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait, 240) == 0
    assert await pairs_of(s) == wanted
    assert len(wanted) > 50


async def test_what_is_refused_is_kept_with_its_reason_and_nothing_is_lost_beside_it(stream_settings):
    s = stream_settings
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    click = {
        "action_name": "click",
        "timestamp": now_ms,
        "client_id": "ann",
        "query_id": "q1",
        "object_id": "p1",
    }
    search = {
        "query_id": "q1",
        "user_query": "mug",
        "timestamp": now_ms,
        "client_id": "ann",
        "query_response_hit_ids": ["p1", "sku-9"],
    }
    await ensure_topics(s)
    poison = [b"\xff", b"{", b"[]", b"{}", json.dumps({**click, "object_id": "nowhere"}).encode(), None]
    interactions = s.topic("interactions")
    product = {"product_id": "p1", "title": "Mug", "variant_ids": ["sku-9"]}
    async with open_producer(s.kafka) as producer:
        with stream(s):
            await producer.send_all([Outgoing(s.topic("products"), json.dumps(product).encode(), key=b"p1")])
            await producer.send_all(
                [Outgoing(interactions, v, key=b"k", headers=(("h", b"1"),)) for v in poison]
            )
            await producer.send_all([Outgoing(interactions, json.dumps(click).encode())])
            bought = {
                **click,
                "action_name": "purchase",
                "items": [{"product_id": "sku-9"}, {"product_id": "nowhere"}],
            }
            await producer.send_all(
                [
                    Outgoing(interactions, json.dumps(bought).encode()),
                    Outgoing(s.topic("searches"), json.dumps(search).encode()),
                ]
            )

            async def counted():
                return set(await pairs_of(s)) == {b"mug\tp1"}

            async def conserved():
                return page(s, "readyz").get("intake", {}).get("interactions") == {
                    "read": 8,
                    "accepted": 2,
                    "refused": 6,
                    "ignored": 0,
                }

            await until(counted, s)
            await until(conserved, s)
    letters = await records_of(s, "interactions.dlq")
    assert sorted(r.value or b"" for r in letters) == sorted(v or b"" for v in poison)
    assert {r.header("dlq.reason") for r in letters} >= {
        b"undecodable_text",
        b"json_decode",
        b"not_object",
        b"schema",
        b"unknown_product",
    }
    assert all(r.header("h") == b"1" and r.key == b"k" for r in letters)


async def test_a_product_and_its_click_can_be_sent_at_the_same_moment(stream_settings):
    s = stream_settings
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    await ensure_topics(s)
    async with open_producer(s.kafka, linger_ms=0) as producer:
        await producer.send_all(outgoing(products(1), s))
        with stream(s):

            async def known():
                return len(await records_of(s, "catalog")) == 1 and page(s, "readyz").get("ready")

            await until(known, s)
            counts: dict[str, int] = {}
            for n in range(1, 40):
                click = {
                    "action_name": "click",
                    "timestamp": now_ms,
                    "client_id": "ann",
                    "object_id": f"p{n}",
                }
                product = {"product_id": f"p{n}", "title": f"Product {n}"}
                await producer.send_all(
                    outgoing([("products", f"p{n}", product), ("interactions", "ann", click)], s)
                )

            async def accepted():
                counts.update(page(s, "readyz").get("intake", {}).get("interactions", {}))
                return counts.get("read") == 39

            await until(accepted, s)
            assert counts["accepted"] == 39


async def test_an_event_that_was_refused_for_its_product_is_counted_when_the_product_arrives(stream_settings):
    s = stream_settings
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    search = {"query_id": "q1", "user_query": "mug", "timestamp": now_ms, "client_id": "ann"}
    click = {
        "action_name": "click",
        "timestamp": now_ms,
        "client_id": "ann",
        "query_id": "q1",
        "object_id": "p0",
    }
    await ensure_topics(s)
    async with open_producer(s.kafka, linger_ms=0) as producer:
        with stream(s):
            first, *others = outgoing(products(2), s)
            await producer.send_all(
                [*others, *outgoing([("searches", "ann", search), ("interactions", "ann", click)], s)]
            )

            async def refused():
                return len(await records_of(s, "interactions.dlq")) == 1

            await until(refused, s)
            await producer.send_all([first])

            async def counted():
                return set(await pairs_of(s)) == {b"mug\tp0"}

            async def conserved():  # counted after it is written, so it may be a pair before
                return page(s, "readyz").get("intake", {}).get("interactions") == {
                    "read": 2,
                    "accepted": 1,
                    "refused": 1,
                    "ignored": 0,
                }

            await until(counted, s)
            await until(conserved, s)


async def test_a_shopper_who_stays_away_leaves_the_table_and_can_come_back(killed_settings):
    s = killed_settings.model_copy(
        update={"partitions": 1, "max_event_age": timedelta(days=1), "purchase_window": timedelta(hours=1)}
    )
    await ensure_topics(s)

    async def tell(shopper, day):
        event = replace(search(f"{shopper}-{day}", "mug", ["p1"], at=day * DAY), shopper=shopper)
        async with open_producer(s.kafka) as producer:
            await producer.send_all(pack_by_key([(shopper, event.to_json())], s.topic("events"), 1))

    def lasts(*shoppers):
        async def so():
            records = (await read_compacted(s.kafka, s.topic("shoppers"))).records
            return {
                key.decode() for key, r in records.items() if r.value is not None and key != CLAIM_KEY
            } == set(shoppers)

        return so

    with stream(s, "--only", "learn") as child:
        await tell("ann", 0)
        await until(lasts("ann"), s)
        days = itertools.count(3)
        ben_alone = lasts("ben")

        async def left():  # each day is one look at the table, and ann goes only after her commit
            await tell("ben", next(days))
            return await ben_alone()

        await until(left, s)
        child.kill()
    with stream(s, "--only", "learn"):
        await tell("ann", next(days))
        await until(lasts("ann", "ben"), s)


@pytest.mark.parametrize("after_s", [0.0, 0.7, 1.6])
async def test_it_can_be_ended_while_it_starts(stream_settings, after_s):
    with stream(stream_settings) as child:
        announced = stream_settings.data_dir / "run" / "stream.json"

        async def up():
            return announced.exists()

        await until(up, stream_settings)
        await asyncio.sleep(after_s)  # the moment is the case
        child.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait, 240) == 0
