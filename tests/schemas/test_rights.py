"""What each process needs on the cluster: all that its code names, and nothing of others."""

import ast
from pathlib import Path

import pytest

import schemas.topics
from schemas.rights import PRINCIPALS, every_right, needed, rights_of, topics_of
from schemas.settings import PROCESS_SETTINGS, Settings
from schemas.topics import WITH_DEAD_LETTERS, Topic

ROOT = Path(__file__).resolve().parents[2]


def named_in(package: str) -> set[str]:
    """Return the names of the topics that the files of a package import."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "schemas.topics":
                values = [getattr(schemas.topics, alias.name) for alias in node.names]
                found |= {value.name for value in values if isinstance(value, Topic)}
    return found


@pytest.mark.parametrize("process", PROCESS_SETTINGS)
def test_a_process_may_use_every_topic_that_its_code_names(process: str):
    assert named_in(process) <= {topic.name for topic in topics_of(process)}


def test_half_of_a_process_has_the_rights_of_the_whole():
    assert topics_of("stream-learn") == topics_of("stream")


def test_every_topic_is_made_by_some_process_or_read_by_it():
    theirs = {topic.name for process in PROCESS_SETTINGS for topic in topics_of(process)}
    assert theirs == {topic.name for topic in WITH_DEAD_LETTERS}


def test_who_writes_a_topic_is_who_the_table_of_topics_says():
    settings = Settings()
    process = {"intake": "stream", "attribute": "stream", "aggregate": "stream", "anybody": "operators"}
    for topic in schemas.topics.TOPICS:
        said = {process.get(name, name) for name in topic.written_by.split(", ")}
        may = {
            right.principal
            for right in every_right(settings)
            if right.name == settings.topic(topic.name) and "Write" in right.operations
        }
        # The API writes for shops and operators, a trigger is anybody's, and stream sends again what waited
        assert said <= may, topic.name
        assert may - said <= {"api", "operators", "stream", "trainer"}, topic.name


def test_only_its_writers_may_write_what_deploys():
    rights = every_right(Settings())
    for name, writers in (("decisions", {"trainer", "indexer"}), ("releases", {"indexer"})):
        topic = Settings().topic(name)
        assert {r.principal for r in rights if r.name == topic and "Write" in r.operations} == writers


def test_names_follow_prefix_and_deployment():
    settings = Settings(topic_prefix="shop.", deployment="eu")
    rights = list(rights_of("searcher", settings))
    assert needed(rights, "group", "shop.searcher-eu") == ("Describe", "Read")
    assert needed(rights, "topic", "searchloop.releases") == ()
    claims = list(rights_of("stream", settings))
    assert needed(claims, "transactional-id", "shop.pairs-11") == ("Describe", "Write")
    assert set(PRINCIPALS) >= set(PROCESS_SETTINGS)
