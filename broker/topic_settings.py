"""Whether the topics that exist keep what they must keep.

How each is cleaned, for how long it is kept, how large a record may be. Another hand may have made them, or
changed them since. What is wrong is named with the topic and what to do; nothing is changed here.
"""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from broker.connecting import client_options
from broker.denials import start
from broker.topics import ASKED_FOR, plan
from schemas.settings import Settings
from schemas.topics import RAW, WITH_DEAD_LETTERS, Topic

_DAY_MS = 86_400_000
# Raw topics may take less: what their producers cannot write is theirs to notice.
_ANY_SIZE = frozenset(topic.name for topic in RAW)
Configs = Mapping[str, str | None]


async def wrong_settings(settings: Settings, topics: Sequence[Topic] = WITH_DEAD_LETTERS) -> list[str]:
    """Return what is wrong with those of the topics that exist, a sentence each.

    Raises ``KafkaError``; what may not be seen is not judged.
    """
    planned, any_size = plan(settings, topics), {settings.topic(name) for name in _ANY_SIZE}
    admin = AIOKafkaAdminClient(**client_options(settings, within=ASKED_FOR))
    try:
        await start(admin, settings)
        there = sorted(planned.keys() & set(await admin.list_topics()))
        answers = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        )
    finally:
        await admin.close()
    found = {
        name: {entry[0]: entry[1] for entry in entries}
        for a in answers
        for code, _, _, name, entries in a.resources
        if code == 0
    }
    return [
        f"topic {name!r}: {problem}"
        for name in there
        if name in found
        for problem in problems(dict(planned[name].topic_configs), found[name], any_size=name in any_size)
    ]


async def told_wrong(settings: Settings, topics: Sequence[Topic]) -> list[str]:
    """Return the same; a broker that does not say it counts as one without faults."""
    try:
        return await wrong_settings(settings, topics)
    except KafkaError:
        return []


def problems(planned: Configs, found: Configs, *, any_size: bool = False) -> list[str]:
    """Return how the settings of a topic lose what was planned to be kept. Keeping more is no problem.

    >>> planned = {"cleanup.policy": "delete", "retention.ms": "-1"}
    >>> problems(planned, planned | {"retention.ms": "86400000"})
    ['retention.ms=86400000 keeps records for 1 days; set retention.ms=-1, unless less is meant']
    """
    said: list[str] = []
    policy, wanted = set((found.get("cleanup.policy") or "").split(",")) - {""}, planned["cleanup.policy"]
    if policy and policy != {wanted}:
        does = (
            "deletes what is the newest of its key"
            if wanted == "compact"
            else "drops all records of a key but the newest"
        )
        said.append(f"cleanup.policy={','.join(sorted(policy))} {does}; set cleanup.policy={wanted}")
    keep, kept = _number(planned.get("retention.ms")), _number(found.get("retention.ms"))
    if (
        wanted == "delete"
        and keep is not None
        and kept is not None
        and kept >= 0
        and (keep < 0 or kept < keep)
    ):
        said.append(
            f"retention.ms={kept} keeps records for {kept / _DAY_MS:g} days; set retention.ms={keep}, "
            "unless less is meant"
        )
    size, takes = _number(planned.get("max.message.bytes")), _number(found.get("max.message.bytes"))
    if size is not None and takes is not None and takes < size and not any_size:
        said.append(
            f"max.message.bytes={takes} refuses records that are written there; set max.message.bytes={size}"
        )
    return said


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
