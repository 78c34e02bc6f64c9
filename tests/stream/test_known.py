"""The ids of the catalogue are known up to the end that ``catalog`` had when it was asked."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from schemas.settings import StreamSettings
from stream.known import KnownProducts
from stream.versions import Held


@pytest.fixture
async def settings(kafka: str, topic_prefix: str) -> StreamSettings:
    settings = StreamSettings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    return settings


@pytest.fixture
async def known(settings: StreamSettings) -> AsyncIterator[KnownProducts]:
    known = KnownProducts()
    following = asyncio.create_task(known.follow(settings))
    yield known
    following.cancel()
    await asyncio.wait([following])


@pytest.mark.parametrize(
    "odd",
    [
        b'"version": 9, "shop_version": "x"',
        b'"version": 9, "shop_version": 1.5',
        b'"version": 9, "shop_version": [1]',
        b'"version": 9, "place": [1]',
        b'"version": 9, "place": [0, 1, 2, 3]',
        b'"version": 9, "place": ["0", 1, 2]',
        b'"version": 9, "place": {}',
        b'"version": 9, "variant_ids": "red"',
        b'"version": 9, "variant_ids": [1]',
        b'"version": 9, "first_seen_ms": "1"',
        b'"version": "9"',
        b'"version": true',
        b'"shop_version": 9',
    ],
)
def test_a_product_is_not_known_by_a_record_that_no_later_one_could_follow(odd: bytes) -> None:
    known = KnownProducts()
    known._apply(
        [
            Record("catalog", 0, n, 0, b"p1", b"{%b}" % body)
            for n, body in enumerate([b'"version": 1, "place": [0, 5, 7], "first_seen_ms": 4', odd])
        ]
    )
    assert known.held("p1") == Held(1, None, (0, 5, 7), None, 4)


@pytest.mark.broker
async def test_an_empty_catalogue_is_caught_up_with_at_once(known: KnownProducts) -> None:
    async with asyncio.timeout(120):
        await asyncio.gather(known.catch_up(), known.catch_up())
    assert len(known) == 0


@pytest.mark.broker
async def test_what_was_acknowledged_before_the_question_is_known_after_it(
    known: KnownProducts, settings: StreamSettings
) -> None:
    topic = settings.topic("catalog")
    async with asyncio.timeout(240), open_producer(settings) as producer:
        for number in range(30):
            name = f"p{number}"
            await producer.send(
                Outgoing(
                    topic, b'{"version": 1, "variant_ids": ["%b-red"]}' % name.encode(), key=name.encode()
                )
            )
            await known.catch_up()
            assert known.find(f"{name}-red") == name
        # What nobody of ours writes is ignored.
        await producer.send_all(
            Outgoing(topic, value, key=b"p1")
            for value in (b"{", b"[]", b'{"version": null}', b'{"version": "\\ud800"}')
        )
        await producer.send_all([Outgoing(topic, b"{}", key=b"\xff"), Outgoing(topic, None, key=b"\xff")])
        await producer.send(Outgoing(topic, None, key=b"p0"))
        await known.catch_up()
    assert known.find("p0") is None
    assert known.find("p0-red") is None
    assert known.find("p1-red") == "p1"
