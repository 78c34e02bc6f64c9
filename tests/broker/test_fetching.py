"""A fetch is held shortly while records come and long at rest, and no record waits for that."""

import asyncio
import logging
import re
import time

import pytest

from broker.consuming import open_group
from broker.fetching import REST_AFTER_S, REST_MS, FetchPace
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings


class Idle:
    """A consumer that has not started."""

    _fetcher = None


def test_the_wait_is_long_when_nothing_has_come_for_a_while_and_short_from_the_next_record_on() -> None:
    now = 0.0
    pace = FetchPace(Idle(), 50, clock=lambda: now)
    pace.note(moved=False)
    assert pace.wait_ms() == 50
    now = REST_AFTER_S
    assert pace.wait_ms() == REST_MS
    pace.note(moved=False)
    assert pace.wait_ms() == REST_MS
    pace.note(moved=True)
    assert pace.wait_ms() == 50


@pytest.mark.parametrize("kind", ["group", "group in order", "reader"])
@pytest.mark.broker
async def test_a_consumer_at_rest_asks_seldom_gets_a_record_at_once_and_then_asks_often(
    kafka: str,
    topic_prefix: str,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    topic = settings.topic("products")
    opened = (
        open_reader(KafkaConnection(kafka=kafka), [topic], fetch_wait_ms=40)
        if kind == "reader"
        else open_group(
            KafkaConnection(kafka=kafka),
            [topic],
            f"{topic_prefix}rest",
            fetch_wait_ms=40,
            in_order=kind != "group",
        )
    )
    async with opened as consumer, open_producer(KafkaConnection(kafka=kafka)) as producer:
        poll = consumer.poll if kind == "reader" else consumer.batch  # type: ignore[union-attr]
        consumer._pace = FetchPace(consumer._inner, 40, clock=lambda: now)
        end = time.monotonic() + 90
        while True:  # what waits for a fetch to end is late every time; a busy machine now and then
            now += REST_AFTER_S
            for _ in range(4):
                await poll(timeout_ms=500, max_records=10)
            took = []
            for number in range(6):
                began = time.monotonic()
                await producer.send(Outgoing(topic, b"x", key=b"k", partition=number // 2))
                while not await poll(timeout_ms=100, max_records=10):
                    pass
                took.append(time.monotonic() - began)
            if max(took) < REST_MS / 2000:
                break
            assert time.monotonic() < end, took
        caplog.set_level(logging.DEBUG, "aiokafka.conn")
        async with asyncio.timeout(60):
            while not (often := waits(caplog)):
                await poll(timeout_ms=100, max_records=10)
            now += REST_AFTER_S
            while waits(caplog)[-1] != REST_MS:
                await poll(timeout_ms=500, max_records=10)
    assert set(often) == {40}


def waits(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The waits of the fetches that were sent, as the log of the connections has them."""
    return [
        int(found[1])
        for r in caplog.records
        if (found := re.search(r"FetchRequest\w*\(.*?max_wait_time=(\d+)", r.getMessage()))
    ]
