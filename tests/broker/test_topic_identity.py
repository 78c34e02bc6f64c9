"""A topic that is made anew has another id, on a real broker."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from broker.topic_identity import topic_id
from schemas.connections import KafkaConnection

pytestmark = pytest.mark.broker


async def test_a_topic_made_anew_has_another_id_and_one_that_is_not_there_none(kafka, topic_prefix):
    name, connection = f"{topic_prefix}events", KafkaConnection(kafka=kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await topic_id(connection, name)
        await admin.create_topics([NewTopic(name, 3, 1)])
        first = await known(connection, name)
        assert first == await topic_id(connection, name)
        await admin.delete_topics([name])
        await gone(admin, name)
        await admin.create_topics([NewTopic(name, 3, 1)])
        assert await known(connection, name) not in {first, None}
    finally:
        await admin.close()


async def known(connection, name):
    while True:
        try:
            return await topic_id(connection, name)
        except UnknownTopicOrPartitionError:
            await asyncio.sleep(0.1)


async def gone(admin, name):
    while name in await admin.list_topics():  # noqa: ASYNC110 (no event of the broker tells)
        await asyncio.sleep(0.1)
