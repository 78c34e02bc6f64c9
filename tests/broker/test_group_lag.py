import pytest

from broker.consuming import open_group
from broker.group_lag import open_lag_reader
from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings

pytestmark = pytest.mark.broker


async def test_lag_is_what_was_written_and_not_committed(kafka, topic_prefix):
    s = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2)
    topic, group = s.topic("searches"), f"{topic_prefix}group"
    await ensure_topics(s)
    async with (
        open_producer(KafkaConnection(kafka=kafka)) as producer,
        open_lag_reader(KafkaConnection(kafka=kafka)) as lags,
    ):
        await producer.send_all([Outgoing(topic, b"{}", partition=n % 2) for n in range(10)])
        assert await lags.lag(group, [topic, s.topic("nowhere")]) == {topic: 10, s.topic("nowhere"): 0}
        assert await lags.committed(group) == {}
        async with open_group(KafkaConnection(kafka=kafka), [topic], group) as consumer:
            read = []
            while len(read) < 10:
                read += await consumer.batch(timeout_ms=500, max_records=100)
            await consumer.commit([r for r in read if r.partition == 0])
            assert await lags.lag(group, [topic]) == {topic: 5}
            await consumer.commit(read)
        assert await lags.lag(group, [topic]) == {topic: 0}
        assert await lags.committed(group) == {(topic, 0): 5, (topic, 1): 5}
