"""Topics are created once, from the table, and a cluster that does not fit is refused."""

import re
from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from broker.topic_settings import problems, wrong_settings
from broker.topics import TopicMismatchError, ensure_topics, fitted, plan
from schemas.settings import Settings
from schemas.topics import TOPICS

DAY_MS = 86_400_000


def test_every_topic_of_the_table_is_planned_with_its_dead_letters() -> None:
    planned = plan(Settings(partitions=3, replication=2, topic_prefix="p."))
    assert {t.name for t in planned.values()} == set(planned)
    assert len(planned) == len(TOPICS) + sum(t.dead_letters for t in TOPICS)
    assert (
        planned["p.searches"].num_partitions,
        planned["p.releases"].num_partitions,
        planned["p.searches.dlq"].num_partitions,
    ) == (
        3,
        1,
        1,
    )
    assert {t.replication_factor for t in planned.values()} == {2}


def test_history_is_kept_by_the_broker_s_clock_and_requests_expire_by_the_client_s() -> None:
    planned = plan(Settings(topic_prefix=""))
    # What is read of their clock is taken for the broker's
    for name in ("interactions", "products", "events", "pairs", "searches.dlq"):
        assert planned[name].topic_configs["message.timestamp.type"] == "LogAppendTime"
    assert planned["interactions"].topic_configs["retention.ms"] == str(90 * DAY_MS)
    assert planned["search-requests"].topic_configs["message.timestamp.type"] == "CreateTime"
    assert planned["decisions"].topic_configs["retention.ms"] == "-1"
    assert planned["pairs"].topic_configs["cleanup.policy"] == "compact"


def there(settings: Settings, **others: int) -> dict[str, int]:
    """The partitions of every topic as ``settings`` would make them, with some of them otherwise."""
    made = {name: topic.num_partitions for name, topic in plan(settings).items()}
    return made | {settings.topic(name.replace("_", "-")): n for name, n in others.items()}


def test_by_default_raw_internal_and_search_topics_have_twelve_partitions_each_by_its_own_setting() -> None:
    made = there(Settings(topic_prefix=""))
    assert {
        made[n]
        for n in ("searches", "products", "events", "pairs", "catalog", "search-requests", "search-responses")
    } == {12}
    made = there(Settings(topic_prefix="", partitions=6, search_partitions=48))
    assert (made["searches"], made["pairs"], made["search-requests"], made["search-responses"]) == (
        6,
        6,
        48,
        48,
    )


def test_a_folder_made_with_four_keeps_its_four_where_the_settings_do_not_say_another_number() -> None:
    found = there(Settings(partitions=4, search_partitions=4))
    assert fitted(Settings(), found).partitions == 4
    assert fitted(Settings(partitions=4), found).partitions == 4
    with pytest.raises(
        TopicMismatchError, match="has 4 partitions, the settings say 12: set SEARCHLOOP_PARTITIONS=4"
    ):
        fitted(Settings.load({"SEARCHLOOP_PARTITIONS": "12"}), found)


def test_a_number_that_is_the_default_and_was_said_is_told_to_children() -> None:
    said = Settings.load({"SEARCHLOOP_PARTITIONS": "12"})
    with pytest.raises(TopicMismatchError):
        fitted(Settings.load(said.environ()), there(Settings(partitions=4)))


@pytest.mark.parametrize("counted", ["events", "shoppers", "contributions", "pairs", "catalog"])
def test_one_counted_topic_with_another_number_than_its_fellows_is_refused(counted: str) -> None:
    with pytest.raises(
        TopicMismatchError, match=rf"searchloop\.{counted} has 13.*all of them must have as many"
    ):
        fitted(Settings(), there(Settings(), **{counted: 13}))


@pytest.mark.parametrize(
    "open_", ["searches", "interactions", "erasures", "products", "search_requests", "search_responses"]
)
def test_raw_topics_and_those_of_searches_may_have_more_partitions_than_was_said(open_: str) -> None:
    assert fitted(Settings(partitions=12), there(Settings(), **{open_: 15})).partitions == 12


def test_a_topic_whose_order_matters_has_one_partition() -> None:
    with pytest.raises(TopicMismatchError, match=r"deployment-commands' has 2 partitions and must have one"):
        fitted(Settings(), there(Settings(), deployment_commands=2))


async def test_without_a_broker_the_wait_ends_with_its_address() -> None:
    with pytest.raises(KafkaError, match=r"127\.0\.0\.1:9 "):
        await ensure_topics(Settings(kafka="127.0.0.1:9"), deadline_s=0.0)


@pytest.mark.broker
async def test_topics_are_created_once_and_as_the_table_says(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    assert (await ensure_topics(Settings(kafka=kafka, topic_prefix=topic_prefix))).partitions == 3
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        found = {
            t["topic"]: len(t["partitions"])
            for t in await admin.describe_topics()
            if t["topic"].startswith(topic_prefix)
        }
        assert found == {name: topic.num_partitions for name, topic in plan(settings).items()}
        [response] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, settings.topic("search-requests"))]
        )
        configs = {entry[0]: entry[1] for entry in response.resources[0][4]}
        assert configs["retention.ms"] == str(int(timedelta(hours=1).total_seconds() * 1000))
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("name", "changed", "named"),
    [
        (
            "products",
            {"cleanup.policy": "delete"},
            "products': cleanup.policy=delete .* set cleanup.policy=compact",
        ),
        (
            "events",
            {"cleanup.policy": "compact,delete"},
            "events': cleanup.policy=compact,delete .* set cleanup.policy=delete",
        ),
        (
            "decisions",
            {"retention.ms": str(DAY_MS)},
            "decisions': retention.ms=86400000 keeps records for 1 days; set retention.ms=-1",
        ),
        (
            "searches.dlq",
            {"max.message.bytes": "1000"},
            "searches.dlq': max.message.bytes=1000 .* set max.message.bytes=8388608",
        ),
    ],
)
@pytest.mark.broker
async def test_a_topic_that_does_not_keep_what_it_must_is_named(
    kafka: str, topic_prefix: str, name: str, changed: dict[str, str], named: str
) -> None:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=1, search_partitions=1)
    made = plan(settings)[settings.topic(name)]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(made.name, 1, 1, topic_configs={**made.topic_configs, **changed})])
    await admin.close()
    await ensure_topics(settings)
    (problem,) = await wrong_settings(settings)
    assert re.search(named, problem)


def test_keeping_more_is_no_problem() -> None:
    planned = {"cleanup.policy": "delete", "retention.ms": "1000", "max.message.bytes": "100"}
    assert (
        problems(planned, {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "900"})
        == []
    )
    assert problems(planned, {}) == []  # what may not be seen is not judged
    assert problems(planned, {**planned, "max.message.bytes": "1"}, any_size=True) == []


@pytest.mark.broker
async def test_another_number_of_partitions_is_refused_and_the_way_out_is_named(
    kafka: str, topic_prefix: str
) -> None:
    await ensure_topics(Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2))
    with pytest.raises(
        TopicMismatchError, match="has 2 partitions, the settings say 3: set SEARCHLOOP_PARTITIONS=2"
    ):
        await ensure_topics(Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3))
