"""Make the topics of ``schemas.topics`` exist, and refuse to run on ones that do not fit."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code

from schemas.settings import Settings
from schemas.topics import SEARCH_REQUESTS, SEARCH_RESPONSES, TOPICS, Topic, dead_letter_name

_DAY_MS = 86_400_000
_COMPACT = {"min.cleanable.dirty.ratio": "0.5", "delete.retention.ms": str(7 * _DAY_MS), "segment.ms": str(_DAY_MS)}


class TopicMismatchError(RuntimeError):
    """A topic exists with another number of partitions than the settings say: counting would go wrong."""


def _configs(topic: Topic) -> dict[str, str]:
    if topic.cleanup == "compact":
        return {"cleanup.policy": "compact", **_COMPACT}
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    # Event time may lie far back, so retention counts from the broker's clock. Requests keep the client's: their timeout counts from it.
    clock = "CreateTime" if topic in {SEARCH_REQUESTS, SEARCH_RESPONSES} else "LogAppendTime"
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention),
        "max.message.bytes": str(8 << 20),
        "message.timestamp.type": clock,
    }


def plan(settings: Settings) -> dict[str, NewTopic]:
    """Return every topic that must exist, by full name."""
    planned: dict[str, NewTopic] = {}
    for topic in TOPICS:
        name = settings.topic(topic.name)
        partitions = settings.partitions if topic.scaled else 1
        planned[name] = NewTopic(name, partitions, settings.replication, topic_configs=_configs(topic))
        if topic.dead_letters:
            dlq = dead_letter_name(name)
            config = {
                "cleanup.policy": "delete",
                "retention.ms": str(30 * _DAY_MS),
                "max.message.bytes": str(8 << 20),
                "message.timestamp.type": "LogAppendTime",
            }
            planned[dlq] = NewTopic(dlq, 1, settings.replication, topic_configs=config)
    return planned


async def ensure_topics(settings: Settings, *, deadline_s: float = 60.0) -> None:
    """Create what is missing; wait for a broker that is still starting, up to the deadline.

    Raises ``TopicMismatchError`` for a wrong number of partitions and ``KafkaError`` when the broker is not reached.
    """
    admin = await _connect(settings.kafka, deadline_s)
    try:
        planned = plan(settings)
        existing = set(await admin.list_topics())
        missing = [topic for name, topic in planned.items() if name not in existing]
        if missing:
            response = await admin.create_topics(missing)
            for name, code, *_ in response.topic_errors:
                if code not in {0, 36}:  # 36: another process was faster
                    raise for_code(code)(name)
        for name, found in (await _partitions(admin, list(planned), deadline_s)).items():
            wanted = planned[name].num_partitions
            if found != wanted:
                raise TopicMismatchError(
                    f"topic {name!r} has {found} partitions, the settings say {wanted}: "
                    f"set SEARCHLOOP_PARTITIONS={found}, or use another SEARCHLOOP_TOPIC_PREFIX"
                )
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, names: list[str], deadline_s: float) -> dict[str, int]:
    """Return the partitions of each topic, once the broker knows all of them: a topic is created before it is seen."""
    end = asyncio.get_running_loop().time() + deadline_s
    while True:
        found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
        unseen = [name for name in names if not found.get(name)]
        if not unseen:
            return found
        if asyncio.get_running_loop().time() > end:
            raise KafkaConnectionError(f"the broker does not show {', '.join(unseen)} within {deadline_s:.0f} s of creating them")
        await asyncio.sleep(0.1)


async def _connect(bootstrap: str, deadline_s: float) -> AIOKafkaAdminClient:
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
        try:
            await admin.start()
        except KafkaError as error:
            await admin.close()
            if loop.time() > end:
                raise KafkaConnectionError(f"no Kafka broker at {bootstrap} within {deadline_s:.0f} s: {error}") from error
            await asyncio.sleep(0.3)
        else:
            return admin
