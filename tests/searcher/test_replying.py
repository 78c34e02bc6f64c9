"""Answers that a topic does not take are replaced by ones that it takes.

A reply topic that does not exist is a wrong setting.
"""

import uuid
from collections.abc import Callable, Sequence

import pytest

from broker.foreign import open_foreign_producer
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Record
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.search import ScoredHit, SearchResponse, Status
from schemas.settings import SearcherSettings, SettingsError
from searcher.replying import Replies, Reply
from searcher.requests import Accepted, Address
from searcher.running import reply_topics
from tests.broker.foreign_topics import make_topic
from tests.searcher.asking import asked

pytestmark = pytest.mark.broker

HEADERS = (("kafka_correlationId", b"c"),)


def reply(topic: str, hits: int) -> Reply:
    one = asked(uuid.uuid4().hex).accepted
    to = Accepted(one.request, Address(topic, None, HEADERS), one.sent_ms, one.record)
    found = [ScoredHit(product_id="p" * 100, rank=n + 1, score=0.5) for n in range(hits)]
    return Reply(
        to, SearchResponse(request_id=one.request.request_id, status=Status.OK, hits=found, generation=4)
    )


async def read(kafka: str, topic: str, count: int) -> list[Record]:
    found: list[Record] = []
    async with open_reader(KafkaConnection(kafka=kafka), [topic]) as reader:
        while len(found) < count:
            found += await reader.poll()
    return found


def codes(records: Sequence[Record]) -> dict[str, str]:
    responses = [SearchResponse.from_json(record.value or b"") for record in records]
    return {r.request_id: r.error.code if r.error else r.status.value for r in responses}


async def test_every_answer_is_written_somewhere_whatever_a_topic_takes(kafka: str, topic_prefix: str):
    default, small, falls_short = (topic_prefix + name for name in ("answers", "small", "falls-short"))
    for topic, size in ((default, 8 << 20), (small, 4000), (falls_short, 1000)):
        await make_topic(kafka, topic, max_bytes=size)
    # The last was cut after the searcher had started
    limits = {default: 20_000, small: 4000, falls_short: 20_000}
    fits, fits_small, too_long = reply(default, 10), reply(small, 3), reply(default, 500)
    too_long_there, refused, late = reply(small, 50), reply(falls_short, 20), reply(falls_short, 0)
    async with (
        open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as own,
        open_foreign_producer(KafkaConnection(kafka=kafka), record_bytes=20_000) as further,
    ):
        replies = Replies(own, further, default, limits)
        await replies.write([too_long_there, refused, fits, too_long, fits_small])
        await replies.write([late])
    on_default, on_small = await read(kafka, default, 4), await read(kafka, small, 2)
    assert codes(on_small) == {
        too_long_there.response.request_id: "response_too_large",
        fits_small.response.request_id: "ok",
    }
    assert codes(on_default) == {
        fits.response.request_id: "ok", too_long.response.request_id: "response_too_large",
        refused.response.request_id: "reply_topic", late.response.request_id: "reply_topic",
    }  # fmt: skip
    assert {record.headers for record in (*on_default, *on_small)} == {HEADERS}
    assert all(
        record.key == SearchResponse.from_json(record.value or b"").request_id.encode()
        for record in on_default
    )


async def test_a_reply_topic_that_does_not_exist_is_a_wrong_setting_that_names_it(
    settings_env: Callable[..., dict[str, str]],
):
    environ = settings_env(partitions=2, reply_topics="")
    settings = await ensure_topics(SearcherSettings.load(environ))
    there = settings.topic("further")
    await make_topic(settings.kafka, there, max_bytes=5000, partitions=3)
    good = settings.model_copy(update={"reply_topics": f"{there}, "})
    facts = await reply_topics(good)
    assert (facts[there].partitions, facts[there].record_bytes, len(facts)) == (3, 5000, 2)
    for _ in range(2):
        with pytest.raises(SettingsError, match="no-such-topic"):
            await reply_topics(settings.model_copy(update={"reply_topics": f"{there},no-such-topic"}))
