"""The real process against a real broker.

Counted once through kill -9, refused with a reason, ended in order.
"""

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.settings import StreamSettings
from stream.epochs import EPOCH_KEY
from stream.packing import pack_by_key
from tests.stream.builders import DAY, search
from tests.stream.shop import engagements, expected, outgoing, products
from tests.stream.stream_process import StreamProcess, pairs_of

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


async def test_everything_is_counted_once_though_the_process_is_killed(killed_settings):
    s = killed_settings
    now = datetime.now(UTC)
    raw = engagements(120, 20, until_ms=int(now.timestamp() * 1000))
    wanted = expected(raw, now)
    await ensure_topics(s)
    async with open_producer(s) as producer:
        await producer.send_all(outgoing(products(20), s))
        await producer.send_all(outgoing(raw[: len(raw) // 3], s))
        with StreamProcess(s).start() as stream:

            async def some_counted():
                return len(await pairs_of(s)) > 10

            await stream.until(some_counted)
            sending = asyncio.create_task(producer.send_all(outgoing(raw[len(raw) // 3 :], s)))
            # So that the kill falls into the middle of the work; any moment must do
            await asyncio.sleep(0.15)
            stream.kill()
            await sending
        # What was sent twice by a producer that never heard back counts once too.
        await producer.send_all(outgoing([r for r in raw if r[0] == "interactions"][:200], s))
        with StreamProcess(s).start() as stream:

            async def all_counted():
                return await pairs_of(s) == wanted

            await stream.until(all_counted)

            await stream.shows(lambda page: page["ready"])
            assert await asyncio.to_thread(stream.stop) == 0
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
    async with open_producer(s) as producer:
        with StreamProcess(s).start() as stream:
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
                return await stream.intake() == {
                    "read": 8,
                    "accepted": 2,
                    "refused": 6,
                    "ignored": 0,
                }

            await stream.until(counted)
            await stream.until(conserved)
    letters = await stream.records("interactions.dlq")
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
    async with open_producer(s, linger_ms=0) as producer:
        await producer.send_all(outgoing(products(1), s))
        with StreamProcess(s).start() as stream:

            async def known():
                return len(await stream.records("catalog")) == 1 and (await stream.readyz())["ready"]

            await stream.until(known)
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
                counts.update(await stream.intake())
                return counts.get("read") == 39

            await stream.until(accepted)
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
    async with open_producer(s, linger_ms=0) as producer:
        with StreamProcess(s).start() as stream:
            first, *others = outgoing(products(2), s)
            await producer.send_all(
                [*others, *outgoing([("searches", "ann", search), ("interactions", "ann", click)], s)]
            )

            async def refused():
                return len(await stream.records("interactions.dlq")) == 1

            await stream.until(refused)
            await producer.send_all([first])

            async def counted():
                return set(await pairs_of(s)) == {b"mug\tp0"}

            async def conserved():  # counted after it is written, so it may be a pair before
                return await stream.intake() == {
                    "read": 2,
                    "accepted": 1,
                    "refused": 1,
                    "ignored": 0,
                }

            await stream.until(counted)
            await stream.until(conserved)


async def test_a_shopper_who_stays_away_leaves_the_table_and_can_come_back(killed_settings):
    s = killed_settings.model_copy(
        update={"partitions": 1, "max_event_age": timedelta(days=1), "purchase_window": timedelta(hours=1)}
    )
    await ensure_topics(s)

    async def tell(shopper, day):
        event = replace(search(f"{shopper}-{day}", "mug", ["p1"], at=day * DAY), shopper=shopper)
        async with open_producer(s) as producer:
            await producer.send_all(pack_by_key([(shopper, event.to_json())], s.topic("events"), 1))

    def lasts(*shoppers):
        async def so():
            records = (await read_compacted(s, s.topic("shoppers"))).records
            there = {key for key, r in records.items() if r.value is not None}
            return there - {EPOCH_KEY} == {shopper.encode() for shopper in shoppers}

        return so

    with StreamProcess(s, "--only", "learn").start() as stream:
        await tell("ann", 0)
        await stream.until(lasts("ann"))
        days = itertools.count(3)
        ben_alone = lasts("ben")

        async def left():  # each day is one look at the table, and ann goes only after her commit
            await tell("ben", next(days))
            return await ben_alone()

        await stream.until(left)
        stream.kill()
    with StreamProcess(s, "--only", "learn").start() as stream:
        await tell("ann", next(days))
        await stream.until(lasts("ann", "ben"))


@pytest.mark.parametrize("after_s", [0.0, 0.7, 1.6])
async def test_it_can_be_ended_while_it_starts(stream_settings, after_s):
    with StreamProcess(stream_settings).start() as stream:
        announced = stream_settings.data_dir / "run" / "stream.json"
        await stream.until(announced.exists)
        await asyncio.sleep(after_s)  # the moment is the case
        assert await asyncio.to_thread(stream.stop) == 0
