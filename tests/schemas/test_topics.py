"""The one table of topics, and what is published from it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from schemas.asyncapi import asyncapi
from schemas.publish import DIALECT, differing, json_schema, main, publish, published
from schemas.settings import PREFIX, known_names
from schemas.topics import TOPICS, WITH_DEAD_LETTERS

ROOT = Path(__file__).resolve().parents[2]


def test_names_are_unique_dead_letters_included() -> None:
    names = [t.name for t in WITH_DEAD_LETTERS]
    assert len(names) == len(set(names))


def test_a_compacted_topic_has_a_key_and_no_retention() -> None:
    for topic in TOPICS:
        if topic.cleanup == "compact":
            assert topic.retention is None, topic.name
            assert topic.key != "any", topic.name


def test_the_internal_log_outlives_the_raw_one_of_searches() -> None:
    kept = {t.name: t.retention or timedelta.max for t in TOPICS}
    assert kept["events"] >= kept["searches"]
    assert kept["contributions"] >= kept["searches"]


def test_the_published_files_are_those_of_the_code() -> None:
    assert list(differing(ROOT)) == []


def test_a_stale_a_missing_and_a_left_over_file_are_found_and_mended(tmp_path: Path) -> None:
    everything = set(publish(tmp_path))
    assert everything == set(published())
    (tmp_path / "schemas/json/searches.json").write_text("{}")
    (tmp_path / "docs/configuration.md").unlink()
    (tmp_path / "schemas/json/gone.json").write_text("{}")
    wrong = {"schemas/json/searches.json", "docs/configuration.md", "schemas/json/gone.json"}
    assert set(differing(tmp_path)) == wrong
    assert set(publish(tmp_path)) == wrong
    assert list(differing(tmp_path)) == []


def test_another_argument_than_check_is_wrong_usage() -> None:
    assert main(["--chek"]) == 2


@pytest.mark.parametrize("topic", [t for t in TOPICS if t.value is not None], ids=lambda t: t.name)
def test_a_json_schema_names_its_dialect_and_resolves_its_references(topic) -> None:
    schema = json.loads(published()[f"schemas/json/{topic.name}.json"])
    assert schema["$schema"] == DIALECT
    references = set(find(schema, "$ref"))
    assert references <= {f"#/$defs/{name}" for name in schema.get("$defs", {})}


def test_the_schema_of_events_admits_every_kind_and_that_of_searches_every_form_of_time() -> None:
    files = published()
    assert set(find(json.loads(files["schemas/json/events.json"]), "const")) == {
        "search",
        "interaction",
        "forget",
        "tick",
    }
    timestamp = json.loads(files["schemas/json/searches.json"])["properties"]["timestamp"]
    assert {form["type"] for form in timestamp["anyOf"]} == {"string", "number"}


def test_asyncapi_is_yaml_and_its_references_resolve() -> None:
    document = yaml.safe_load(published()["schemas/asyncapi.yaml"])
    assert document == asyncapi()
    for reference in find(document, "$ref"):
        if reference.startswith("#/"):
            found = document
            for part in reference.split("/")[1:]:
                found = found[part]
        else:
            assert (ROOT / "schemas" / reference).is_file()


def test_every_payload_has_a_name_of_its_own_by_which_generators_call_its_class() -> None:
    document = asyncapi()
    named = {
        name: schema["$ref"].removeprefix("./json/")
        for name, schema in document["components"]["schemas"].items()
    }
    assert sorted(named.values()) == sorted(f"{t.name}.json" for t in TOPICS if t.value is not None)
    assert all(name.isalpha() and name[0].isupper() for name in named)


def test_a_micro_batch_is_no_json_document_and_does_not_say_so() -> None:
    channels = asyncapi()["channels"]
    for topic in TOPICS:
        expected = "application/x-ndjson" if topic.micro_batched else "application/json"
        assert channels[topic.name]["messages"][topic.name]["contentType"] == expected, topic.name


@pytest.mark.parametrize("topic", [t for t in TOPICS if t.value is not None], ids=lambda t: t.name)
def test_a_json_schema_holds_no_word_of_another_standard_and_a_title_for_every_message_only(topic) -> None:
    """Strict validators refuse ``discriminator``; generators make a class of every title."""
    schema = json_schema(topic)
    assert not {"discriminator", "nullable", "example"} & keywords(schema)
    assert schema["title"] == topic.name
    for definition in (schema, *schema.get("$defs", {}).values()):
        assert definition["title"]
        assert not any("title" in field for field in definition.get("properties", {}).values())


def keywords(schema: object) -> set[str]:
    """Return the keywords of a schema, without the names of fields."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    inner = [
        list(v.values()) if k in {"properties", "$defs"} else v
        for k, v in schema.items()
        if k not in {"default", "enum", "const"}
    ]
    return set(schema) | set().union(*map(keywords, inner))


def test_the_configuration_page_lists_every_variable_once() -> None:
    page = published()["docs/configuration.md"]
    for name in known_names() - {"base_model"}:
        assert page.count(f"`{PREFIX}{name.upper()}`") == 1, name


def find(value: object, key: str) -> list[str]:
    """Return every value under a key, at any depth."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    own = [value[key]] if isinstance(value, dict) and isinstance(value.get(key), str) else []
    return own + [found for v in inner for found in find(v, key)]
