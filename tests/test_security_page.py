"""The page of who can do what names every topic, with those who write it."""

import re
from pathlib import Path

from schemas.topics import TOPICS

PAGE = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
ROWS = {
    name: line
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`([a-z-]+)`", line.split("|")[1])
}


def test_every_topic_has_a_row() -> None:
    assert sorted(ROWS) == sorted(topic.name for topic in TOPICS)


def test_each_row_names_the_processes_that_write() -> None:
    process = {
        "intake": "stream",
        "attribute": "stream",
        "aggregate": "stream",
        "anybody": "operators",
        "operators": "operators",
    }
    process |= {name: name for name in ("searcher", "trainer", "indexer", "stream", "producers", "clients")}
    for topic in TOPICS:
        wanted = {process[name] for name in topic.written_by.split(", ")}
        named = {name for name in process.values() if name in ROWS[topic.name].split("|")[2]}
        assert named == wanted, topic.name
