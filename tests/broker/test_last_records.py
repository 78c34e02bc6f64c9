"""The newest records of topics, read in blocks from the newest on."""

import pytest

from broker.last_records import last_records
from broker.topics import ensure_topics
from schemas.settings import Settings
from tests.topics import write

pytestmark = pytest.mark.broker


async def test_the_newest_blocks_are_read_and_no_more_than_is_wanted(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=1)
    await ensure_topics(settings)
    await write(settings, "rules", *((b"k", b"%d" % n) for n in range(2000)))
    topics = [settings.topic("rules"), settings.topic("judgments")]

    async def read(most: int, enough: int = 10_000) -> list[int]:
        found: list[int] = []
        records = last_records(settings, topics, most=most, enough=lambda: len(found) >= enough)
        async for record in records:
            found += [record.offset]
        return found

    first = [*range(1744, 2000)]
    assert await read(100) == [*range(1900, 2000)]
    assert await read(10_000, enough=1) == first
    assert await read(300) == [*first, *range(1700, 1744)]
    assert sorted(await read(10_000)) == [*range(2000)]


async def test_of_an_empty_topic_nothing_is_read(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    assert [r async for r in last_records(settings, [settings.topic("events")], most=10)] == []
