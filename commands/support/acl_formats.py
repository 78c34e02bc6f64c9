"""What a cluster must have, as text for the tools that make it so. Pure."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.rights import Right


class PlannedTopic(Protocol):
    """A topic as ``broker.topics.plan`` says it."""

    name: str
    num_partitions: int
    replication_factor: int
    topic_configs: dict[str, str]


@dataclass(frozen=True)
class Cluster:
    """What is wanted of one cluster; ``name`` is that of Strimzi's Kafka resource."""

    name: str
    addresses: str
    topics: Sequence[PlannedTopic]
    rights: Sequence[Right]

    @property
    def users(self) -> list[str]:
        """The principals, each once."""
        return list(dict.fromkeys(right.principal for right in self.rights))


def kafka_acls(cluster: Cluster) -> str:
    """Return lines for Kafka's own tools; a user's password is the operator's to choose.

    To be run as somebody who may: add ``--command-config``.
    """
    return "\n".join([*_tool_lines(cluster), ""])


def _tool_lines(cluster: Cluster) -> Iterator[str]:
    at = f"--bootstrap-server {cluster.addresses}"
    for topic in cluster.topics:
        configs = " ".join(f"--config {name}={value}" for name, value in topic.topic_configs.items())
        yield (
            f"kafka-topics.sh {at} --create --if-not-exists --topic {topic.name} --partitions "
            f"{topic.num_partitions} --replication-factor {topic.replication_factor} {configs}"
        )
    for user in cluster.users:
        yield (
            f"# kafka-configs.sh {at} --alter --entity-type users --entity-name {user} "
            "--add-config 'SCRAM-SHA-512=[password=...]'"
        )
    for right in cluster.rights:
        operations = " ".join(f"--operation {operation}" for operation in right.operations)
        pattern = " --resource-pattern-type prefixed" if right.prefixed else ""
        yield (
            f"kafka-acls.sh {at} --add --allow-principal User:{right.principal} {operations} "
            f"--{right.kind} {right.name}{pattern}"
        )


def strimzi(cluster: Cluster) -> str:
    """Return the resources KafkaTopic and KafkaUser of Strimzi, which makes passwords itself."""
    return "".join(f"---\n{text}" for text in (*map(_topic_of(cluster), cluster.topics), *_users(cluster)))


def _topic_of(cluster: Cluster) -> Callable[[PlannedTopic], str]:
    def text(topic: PlannedTopic) -> str:
        configs = "".join(f"    {name}: {json.dumps(value)}\n" for name, value in topic.topic_configs.items())
        return (
            f"{_head('KafkaTopic', topic.name, cluster.name)}spec:\n  topicName: {topic.name}\n"
            f"  partitions: {topic.num_partitions}\n  replicas: {topic.replication_factor}\n"
            f"  config:\n{configs}"
        )

    return text


def _users(cluster: Cluster) -> Iterator[str]:
    kinds = {"topic": "topic", "group": "group", "transactional-id": "transactionalId"}
    for user in cluster.users:
        acls = "".join(
            f"      - resource:\n          type: {kinds[right.kind]}\n          name: {right.name}\n"
            f"          patternType: {'prefix' if right.prefixed else 'literal'}\n"
            f"        operations: [{', '.join(right.operations)}]\n"
            for right in cluster.rights
            if right.principal == user
        )
        yield (
            f"{_head('KafkaUser', user, cluster.name)}spec:\n  authentication:\n    type: scram-sha-512\n"
            f"  authorization:\n    type: simple\n    acls:\n{acls}"
        )


def _head(kind: str, name: str, cluster: str) -> str:
    return (
        f"apiVersion: kafka.strimzi.io/v1beta2\nkind: {kind}\nmetadata:\n"
        f"  name: {re.sub('[^a-z0-9.-]', '-', name.lower()).strip('-.')}\n"
        f"  labels:\n    strimzi.io/cluster: {cluster}\n"
    )


def terraform(cluster: Cluster) -> str:
    """Return resources ``kafka_topic`` and ``kafka_acl`` (one for each operation)."""
    return "\n".join(_blocks(cluster))


def _blocks(cluster: Cluster) -> Iterator[str]:
    for topic in cluster.topics:
        configs = "".join(f"    {json.dumps(n)} = {json.dumps(v)}\n" for n, v in topic.topic_configs.items())
        yield (
            f'resource "kafka_topic" "{_word(topic.name)}" {{\n  name = "{topic.name}"\n'
            f"  partitions = {topic.num_partitions}\n  replication_factor = {topic.replication_factor}\n"
            f"  config = {{\n{configs}  }}\n}}\n"
        )
    kinds = {"topic": "Topic", "group": "Group", "transactional-id": "TransactionalID"}
    for right in cluster.rights:
        for operation in right.operations:
            values = {
                "resource_name": right.name,
                "resource_type": kinds[right.kind],
                "resource_pattern_type_filter": "Prefixed" if right.prefixed else "Literal",
                "acl_principal": f"User:{right.principal}",
                "acl_host": "*",
                "acl_operation": operation,
                "acl_permission_type": "Allow",
            }
            lines = "".join(f'  {name} = "{value}"\n' for name, value in values.items())
            told = _word(f"{right.principal}_{operation}_{right.kind}_{right.name}")
            yield f'resource "kafka_acl" "{told}" {{\n{lines}}}\n'


def _word(text: str) -> str:
    return re.sub("[^A-Za-z0-9_]", "_", text)


FORMATS: Mapping[str, Callable[[Cluster], str]] = {
    "kafka-acls": kafka_acls,
    "strimzi": strimzi,
    "terraform": terraform,
}
