"""Make the topics of ``schemas.topics`` exist, and refuse to run on ones that do not fit.

Three kinds have a number of partitions of their own. The counted ones share one for ever: a fence is a place
in a partition, and a key must stay where its newest record lies. Raw topics and those of searches may have
any, and more later. The others have one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code

from broker.connecting import client_options
from broker.denials import start
from broker.errors import AccessError
from broker.records import TOPIC_BYTES
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from schemas.topics import (
    CATALOG,
    CONTRIBUTIONS,
    EVENTS,
    PAIRS,
    SEARCH_REQUESTS,
    SEARCH_RESPONSES,
    SHOPPERS,
    WITH_DEAD_LETTERS,
    Topic,
    dead_letter_name,
)

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=Settings)
COUNTED = (EVENTS, SHOPPERS, CONTRIBUTIONS, PAIRS, CATALOG)
SEARCHED = (SEARCH_REQUESTS, SEARCH_RESPONSES)

REFUSED_S = 10.0  # a broker that has just started may not know its users yet
ASKED_FOR = timedelta(seconds=15)  # a broker that does not answer is asked again
_DAY_MS = 86_400_000
_COMPACT = {
    "min.cleanable.dirty.ratio": "0.5",
    "delete.retention.ms": str(7 * _DAY_MS),
    "segment.ms": str(_DAY_MS),
}


class TopicMismatchError(RuntimeError):
    """A topic exists with another number of partitions than the settings say: counting would go wrong."""


def _configs(topic: Topic) -> dict[str, str]:
    # Event time may lie far back, so retention counts from the broker's clock, and what is the later record
    # of a product, what is ahead of its time and how fresh the pairs are is told by it. Requests keep the
    # client's: their timeout counts from it.
    clock = "CreateTime" if topic in SEARCHED else "LogAppendTime"
    if topic.cleanup == "compact":
        return {"cleanup.policy": "compact", "message.timestamp.type": clock, **_COMPACT}
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(TOPIC_BYTES),
        "message.timestamp.type": clock,
    }


def plan(settings: Settings, topics: Sequence[Topic] = WITH_DEAD_LETTERS) -> dict[str, NewTopic]:
    """Return the topics that must exist, by full name."""
    planned: dict[str, NewTopic] = {}
    for topic in topics:
        name = settings.topic(topic.name)
        scaled = settings.search_partitions if topic in SEARCHED else settings.partitions
        partitions = scaled if topic.scaled else 1
        planned[name] = NewTopic(name, partitions, settings.replication, topic_configs=_configs(topic))
    return planned


async def ensure_topics(
    settings: S, topics: Sequence[Topic] = WITH_DEAD_LETTERS, *, deadline_s: float = 60.0
) -> S:
    """Create what is missing; wait for a broker that is still starting, up to the deadline.

    Returns the settings as the topics are. Where the settings do not name a number of partitions, that of the
    counted topics which exist is taken. Raises ``TopicMismatchError`` for topics that cannot be worked on,
    and ``KafkaError`` when the broker is not reached, or refuses us for ``REFUSED_S``.
    """
    admin = await _connect(settings, deadline_s)
    try:
        there = set(await admin.list_topics())
        found = await _partitions(admin, sorted(plan(settings, topics).keys() & there), deadline_s)
        fitting = fitted(settings, found)
        planned = plan(fitting, topics)
        if missing := [topic for name, topic in planned.items() if name not in there]:
            response = await admin.create_topics(missing)
            for name, code, *_ in response.topic_errors:
                if code not in {0, 36}:  # 36: another process was faster, perhaps with other settings
                    raise for_code(code)(name)
            fitting = fitted(settings, await _partitions(admin, list(planned), deadline_s))
        return fitting
    finally:
        await admin.close()


def fitted(settings: S, found: Mapping[str, int]) -> S:
    """Return the settings with the number of partitions of the counted topics among ``found``.

    Raises ``TopicMismatchError``.
    """
    counted = {name: found[name] for topic in COUNTED if (name := settings.topic(topic.name)) in found}
    numbers = set(counted.values())
    if len(numbers) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in counted.items())
        raise TopicMismatchError(
            f"{told} partitions, and all of them must have as many: one was changed, and what was counted "
            "no longer lies where "
            "it is looked for. Use another SEARCHLOOP_TOPIC_PREFIX and send the raw topics there again"
        )
    for name, n in counted.items():
        if n != settings.partitions and "partitions" in settings.model_fields_set:
            raise TopicMismatchError(
                f"topic {name!r} has {n} partitions, the settings say {settings.partitions}: "
                f"set SEARCHLOOP_PARTITIONS={n}, or use another SEARCHLOOP_TOPIC_PREFIX"
            )
    fitting = settings.model_copy(update={"partitions": numbers.pop()}) if numbers else settings
    if fitting.partitions != settings.partitions:
        log.info(
            "topics have another number of partitions than configured; theirs is kept",
            found=fitting.partitions,
            now=settings.partitions,
        )
    _judge_others(fitting, found)
    return fitting


def _judge_others(settings: Settings, found: Mapping[str, int]) -> None:
    for name, topic in plan(settings).items():
        n = found.get(name, topic.num_partitions)
        if n == topic.num_partitions:
            continue
        if topic.num_partitions == 1 and not name.endswith(dead_letter_name("")):
            raise TopicMismatchError(
                f"topic {name!r} has {n} partitions and must have one, since its order matters: use "
                "another SEARCHLOOP_TOPIC_PREFIX"
            )
        log.info(
            "topic has another number of partitions than configured; its own is kept",
            topic=name,
            partitions=n,
        )


async def _partitions(admin: AIOKafkaAdminClient, names: list[str], deadline_s: float) -> dict[str, int]:
    """Return the partitions of each topic, once the broker knows all of them.

    A topic is created before it is seen.
    """
    if not names:
        return {}
    end = asyncio.get_running_loop().time() + deadline_s
    while True:
        found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
        unseen = [name for name in names if not found.get(name)]
        if not unseen:
            return found
        if asyncio.get_running_loop().time() > end:
            raise KafkaConnectionError(
                f"the broker does not show {', '.join(unseen)} within {deadline_s:.0f} s of creating them"
            )
        await asyncio.sleep(0.1)


async def _connect(connection: KafkaConnection, deadline_s: float) -> AIOKafkaAdminClient:
    loop = asyncio.get_running_loop()
    end, refused_until = loop.time() + deadline_s, loop.time() + min(deadline_s, REFUSED_S)
    while True:
        admin = AIOKafkaAdminClient(**client_options(connection, within=ASKED_FOR))
        try:
            await start(admin, connection)
        except AccessError:
            await admin.close()
            if loop.time() > refused_until:
                raise
            await asyncio.sleep(1.0)
        except KafkaError as error:
            await admin.close()
            if loop.time() > end:
                raise KafkaConnectionError(
                    f"no Kafka broker at {connection.kafka} within {deadline_s:.0f} s: {error}"
                ) from error
            await asyncio.sleep(0.3)
        else:
            return admin
