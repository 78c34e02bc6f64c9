"""Generate what others read of the contracts: ``schemas/json/``, ``schemas/asyncapi.yaml`` and ``docs/configuration.md``.

``python -m schemas.publish`` writes the files, ``--check`` only compares. Everything comes from the topic table and the settings;
nothing is written by hand, and nothing of it depends on the machine or the day.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from schemas.events import CLEAN_EVENT
from schemas.releases import LivePointer, Release
from schemas.rejections import Reason
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC
from schemas.settings import PREFIX, PROCESS_SETTINGS, Settings
from schemas.topics import EVENTS, RELEASES, SEARCH_REQUESTS, SEARCH_RESPONSES, TOPICS, Topic, dead_letter_name
from schemas.yaml import Plain, to_yaml

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
# Topics that carry more than one kind of fact: which one, the fact itself says (``kind``), or its key.
_UNIONS: dict[str, TypeAdapter[Any]] = {EVENTS.name: CLEAN_EVENT, RELEASES.name: TypeAdapter(LivePointer | Release)}


def published() -> dict[str, str]:
    """Return every generated file: its path from the repository's root, and its text."""
    files = {f"schemas/json/{topic.name}.json": _json_file(json_schema(topic)) for topic in TOPICS}
    files["schemas/asyncapi.yaml"] = to_yaml(asyncapi())
    files["docs/configuration.md"] = configuration()
    return files


def json_schema(topic: Topic) -> dict[str, Plain]:
    """Return the JSON Schema of what a topic accepts; of a micro-batched topic, that of one fact (one line of the value)."""
    adapter = _UNIONS.get(topic.name) or TypeAdapter(topic.value)
    schema = adapter.json_schema(mode="validation")
    return {"$schema": DIALECT, "title": topic.name, **{k: v for k, v in schema.items() if k != "title"}}


def asyncapi() -> dict[str, Plain]:
    """Return the AsyncAPI 3.0 document: a channel per topic and dead-letter topic, seen from searchloop."""
    channels: dict[str, Plain] = {}
    operations: dict[str, Plain] = {}
    for topic in TOPICS:
        channels[topic.name] = _channel(topic)
        received = topic.written_by.startswith(("producers", "clients", "anybody", "trainer, operators"))
        operations[f"{'receive' if received else 'send'}-{topic.name}"] = _operation(topic, received=received)
        if topic.dead_letters:
            name = dead_letter_name(topic.name)
            channels[name] = _dead_letter_channel(topic)
            operations[f"send-{name}"] = {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
    prefix = Settings.model_fields["topic_prefix"].default
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "searchloop",
            "version": "0.1.0",
            "description": f"Every topic of searchloop. Real names carry the prefix {PREFIX}TOPIC_PREFIX, by default {prefix!r}.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def _operation(topic: Topic, *, received: bool) -> dict[str, Plain]:
    operation: dict[str, Plain] = {
        "action": "receive" if received else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"Written by: {topic.written_by}.",
    }
    if topic is SEARCH_REQUESTS:
        operation["reply"] = {
            "address": {"location": f"$message.header#/{REPLY_TOPIC}"},
            "channel": {"$ref": f"#/channels/{SEARCH_RESPONSES.name}"},
        }
    return operation


def _channel(topic: Topic) -> dict[str, Plain]:
    batched = (
        " One record holds up to about 100 facts, one JSON object to a line; the schema is that of a line." if topic.micro_batched else ""
    )
    message: dict[str, Plain] = {
        "summary": topic.summary + batched,
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./json/{topic.name}.json"}},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
    }
    if topic in {SEARCH_REQUESTS, SEARCH_RESPONSES}:
        names = (CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION) if topic is SEARCH_REQUESTS else (CORRELATION_ID,)
        message["headers"] = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        message["correlationId"] = {"location": f"$message.header#/{CORRELATION_ID}"}
    kafka: dict[str, Plain] = {"topicConfiguration": _kept(topic.cleanup, topic.retention)}
    if not topic.scaled:
        kafka["partitions"] = 1
    return {"address": topic.name, "messages": {topic.name: message}, "bindings": {"kafka": kafka}}


def _dead_letter_channel(topic: Topic) -> dict[str, Plain]:
    name = dead_letter_name(topic.name)
    reasons: list[Plain] = [reason.value for reason in Reason]
    headers: dict[str, Plain] = {"dlq.reason": {"type": "string", "enum": reasons}, "dlq.errors": {"type": "string"}}
    headers |= {f"__connect.errors.{part}": {"type": "string"} for part in ("topic", "partition", "offset", "stage", "exception.message")}
    message: dict[str, Plain] = {
        "summary": f"What was refused from {topic.name}: the original bytes, and headers that say why.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers},
    }
    kafka: dict[str, Plain] = {"partitions": 1, "topicConfiguration": _kept("delete", timedelta(days=30))}
    return {"address": name, "messages": {name: message}, "bindings": {"kafka": kafka}}


def _kept(cleanup: str, retention: timedelta | None) -> dict[str, Plain]:
    kept: dict[str, Plain] = {"cleanup.policy": [cleanup]}
    if cleanup == "delete":
        kept["retention.ms"] = -1 if retention is None else int(retention.total_seconds() * 1000)
    return kept


def configuration() -> str:
    """Return the page of all settings: those of every process first, then those of each."""
    parts = [
        "# Configuration\n\n"
        "Generated by `make generate` from `schemas/settings.py`; edits here are lost. Every setting is an environment variable that is read once,\n"
        "when a process starts. A name that no process knows is refused. A duration is ISO 8601: `PT30S`, `PT1H`, `P7D`.\n",
        _table("Every process", Settings, skip=frozenset()),
    ]
    parts += [_table(f"`{process}`", kind, skip=frozenset(Settings.model_fields)) for process, kind in PROCESS_SETTINGS.items()]
    return "\n".join(parts)


def _table(heading: str, kind: type[Settings], *, skip: frozenset[str]) -> str:
    rows = [_row(kind, name) for name in kind.model_fields if name not in skip]
    return "\n".join([f"## {heading}\n", "| name | variable | default | meaning |", "|---|---|---|---|", *rows, ""])


def _row(kind: type[Settings], name: str) -> str:
    field = kind.model_fields[name]
    default = TypeAdapter(field.annotation).dump_python(field.default, mode="json")
    shown = "empty" if default == "" else f"`{default}`"
    return f"| {name} | `{PREFIX}{name.upper()}` | {shown} | {(field.description or '').replace('|', chr(92) + '|')} |"


def _json_file(schema: dict[str, Plain]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def differing(root: Path) -> Iterator[str]:
    """Yield the generated files of ``root`` that are missing, stale, or belong to no topic any more."""
    wanted = published()
    for path, text in wanted.items():
        file = root / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            yield path
    for file in sorted((root / "schemas" / "json").glob("*")):
        path = file.relative_to(root).as_posix()
        if path not in wanted:
            yield path


def publish(root: Path) -> list[str]:
    """Write what differs, remove what belongs to no topic, and return those paths."""
    wanted, changed = published(), list(differing(root))
    for path in changed:
        file = root / path
        if path in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[path], encoding="utf-8")
        else:
            file.unlink()
    return changed


def main(arguments: Sequence[str]) -> int:
    """Publish, or with ``--check`` only name the files that differ. Returns the exit code."""
    root = Path(__file__).resolve().parents[1]
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python -m schemas.publish [--check]\n")
        return 2
    if arguments:
        stale = list(differing(root))
        for path in stale:
            sys.stdout.write(f"{path} differs from the code\n")
        if stale:
            sys.stderr.write("`make generate` writes them again\n")
        return 1 if stale else 0
    for path in publish(root):
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
