"""Topics are created once, from the table, and a cluster that does not fit is refused."""

from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from broker.topics import TopicMismatchError, ensure_topics, plan
from schemas.settings import Settings
from schemas.topics import TOPICS

DAY_MS = 86_400_000


def test_every_topic_of_the_table_is_planned_with_its_dead_letters() -> None:
    planned = plan(Settings(partitions=3, replication=2, topic_prefix="p."))
    assert {t.name for t in planned.values()} == set(planned)
    assert len(planned) == len(TOPICS) + sum(t.dead_letters for t in TOPICS)
    assert (planned["p.searches"].num_partitions, planned["p.releases"].num_partitions, planned["p.searches.dlq"].num_partitions) == (
        3,
        1,
        1,
    )
    assert {t.replication_factor for t in planned.values()} == {2}


def test_history_is_kept_by_the_broker_s_clock_and_requests_expire_by_the_client_s() -> None:
    planned = plan(Settings(topic_prefix=""))
    assert planned["interactions"].topic_configs["message.timestamp.type"] == "LogAppendTime"
    assert planned["interactions"].topic_configs["retention.ms"] == str(90 * DAY_MS)
    assert planned["search-requests"].topic_configs["message.timestamp.type"] == "CreateTime"
    assert planned["decisions"].topic_configs["retention.ms"] == "-1"
    assert planned["pairs"].topic_configs["cleanup.policy"] == "compact"


async def test_without_a_broker_the_wait_ends_with_its_address() -> None:
    with pytest.raises(KafkaError, match=r"127\.0\.0\.1:9 "):
        await ensure_topics(Settings(kafka="127.0.0.1:9"), deadline_s=0.0)


@pytest.mark.broker
async def test_topics_are_created_once_and_as_the_table_says(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    await ensure_topics(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        found = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if t["topic"].startswith(topic_prefix)}
        assert found == {name: topic.num_partitions for name, topic in plan(settings).items()}
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic("search-requests"))])
        configs = {entry[0]: entry[1] for entry in response.resources[0][4]}
        assert configs["retention.ms"] == str(int(timedelta(hours=1).total_seconds() * 1000))
    finally:
        await admin.close()


@pytest.mark.broker
async def test_another_number_of_partitions_is_refused_and_the_way_out_is_named(kafka: str, topic_prefix: str) -> None:
    await ensure_topics(Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2))
    with pytest.raises(TopicMismatchError, match="has 2 partitions, the settings say 3: set SEARCHLOOP_PARTITIONS=2"):
        await ensure_topics(Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3))
