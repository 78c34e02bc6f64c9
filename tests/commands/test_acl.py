"""``searchloop acl``: what a cluster with access control must have, for three tools."""

import re

import pytest
import yaml

from schemas.rights import every_right, topics_of
from schemas.settings import Settings
from schemas.topics import WITH_DEAD_LETTERS
from tests.processes import run_cli

SETTINGS = {"SEARCHLOOP_TOPIC_PREFIX": "shop.", "SEARCHLOOP_PARTITIONS": "24", "SEARCHLOOP_REPLICATION": "3"}


def printed(*arguments: str) -> str:
    done = run_cli("acl", *arguments, **SETTINGS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lines_for_kafkas_tools_name_every_topic_user_and_right():
    lines = printed().splitlines()
    of = {tool: [line for line in lines if line.startswith(tool)] for tool in ("kafka-topics", "kafka-acls")}
    assert len(of["kafka-topics"]) == len(WITH_DEAD_LETTERS)
    assert len(of["kafka-acls"]) == len(every_right(Settings.load(SETTINGS)))
    [pairs] = [line for line in of["kafka-topics"] if " --topic shop.pairs " in line]
    assert "--partitions 24 --replication-factor 3 " in pairs
    assert "--config cleanup.policy=compact" in pairs
    [claims] = [line for line in of["kafka-acls"] if " --transactional-id shop.releases- " in line]
    assert "--allow-principal User:indexer --operation Describe --operation Write " in claims
    assert claims.endswith("--resource-pattern-type prefixed")


def test_resources_of_strimzi_can_be_read_and_say_the_same():
    found = list(yaml.safe_load_all(printed("--format", "strimzi", "--cluster", "own")))
    assert {one["metadata"]["labels"]["strimzi.io/cluster"] for one in found} == {"own"}
    topics = {one["spec"]["topicName"]: one["spec"] for one in found if one["kind"] == "KafkaTopic"}
    assert (topics["shop.pairs"]["partitions"], topics["shop.pairs"]["replicas"]) == (24, 3)
    assert topics["shop.pairs"]["config"]["cleanup.policy"] == "compact"
    users = [one for one in found if one["kind"] == "KafkaUser"]
    acls = [acl for user in users for acl in user["spec"]["authorization"]["acls"]]
    assert len(acls) == len(every_right(Settings.load(SETTINGS)))
    assert {acl["resource"]["type"] for acl in acls} == {"topic", "group", "transactionalId"}


def test_resources_of_terraform_have_names_of_their_own():
    text = printed("--format", "terraform", "--principal", "stream")
    names = re.findall(r'^resource "(kafka_\w+)" "(\w+)"', text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert sum(kind == "kafka_topic" for kind, _ in names) == len(topics_of("stream"))
    assert 'acl_principal = "User:stream"' in text
    assert "searcher" not in text


@pytest.mark.parametrize("name", ["", "nobody"])
def test_who_is_nobody_is_refused(name: str):
    done = run_cli("acl", "--principal", name, **SETTINGS)
    assert done.returncode == 2
    assert "nobody is called" in done.stderr
