"""The AsyncAPI 3.0 document of every topic, seen from searchloop: what it receives, what it sends.

Payloads refer to ``schemas/json/``.
"""

from pydantic import JsonValue

from schemas.rejections import Reason
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC
from schemas.settings import PREFIX, Settings
from schemas.topics import SEARCH_REQUESTS, SEARCH_RESPONSES, TOPICS, Topic, dead_letters_of

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
JSON = "application/json"
# One record, several facts: no reader takes it for one JSON document.
JSON_LINES = "application/x-ndjson"
_TOPIC_PREFIX = Settings.model_fields["topic_prefix"].default


def asyncapi() -> dict[str, JsonValue]:
    """Return the document: one channel and one operation per topic and per dead-letter topic."""
    channels: dict[str, JsonValue] = {}
    operations: dict[str, JsonValue] = {}
    for topic in TOPICS:
        channels[topic.name] = _channel(topic)
        received = topic.written_by.startswith(("producers", "clients", "anybody", "trainer, operators"))
        operations[f"{'receive' if received else 'send'}-{topic.name}"] = _operation(topic, received=received)
        if topic.dead_letters:
            letters = dead_letters_of(topic)
            channels[letters.name] = _dead_letter_channel(letters)
            operations[f"send-{letters.name}"] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{letters.name}"},
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "searchloop",
            "version": "0.1.0",
            "description": (
                f"Every topic of searchloop. Names carry the prefix {PREFIX}TOPIC_PREFIX; the one here is "
                "its default."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": operations,
        # Under a name: generators call what they make of a payload by it, and an unnamed one
        # AnonymousSchema_1.
        "components": {
            "schemas": {
                _class_name(t): {"$ref": f"./json/{t.name}.json"} for t in TOPICS if t.value is not None
            }
        },
    }


def _class_name(topic: Topic) -> str:
    return "".join(part.capitalize() for part in topic.name.split("-"))


def _operation(topic: Topic, *, received: bool) -> dict[str, JsonValue]:
    operation: dict[str, JsonValue] = {
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


def _channel(topic: Topic) -> dict[str, JsonValue]:
    batched = (
        " One record holds up to about 100 facts, one JSON object to a line; the schema is that of a line."
        if topic.micro_batched
        else ""
    )
    message: dict[str, JsonValue] = {
        "name": topic.name,
        "contentType": JSON_LINES if topic.micro_batched else JSON,
        "summary": topic.summary + batched,
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
    }
    if topic.value is not None:
        message["payload"] = {
            "schemaFormat": _SCHEMA_FORMAT,
            "schema": {"$ref": f"#/components/schemas/{_class_name(topic)}"},
        }
    if topic in {SEARCH_REQUESTS, SEARCH_RESPONSES}:
        names = (
            (CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION) if topic is SEARCH_REQUESTS else (CORRELATION_ID,)
        )
        message["headers"] = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        message["correlationId"] = {"location": f"$message.header#/{CORRELATION_ID}"}
    kafka: dict[str, JsonValue] = {"topicConfiguration": _kept(topic)}
    if not topic.scaled:
        kafka["partitions"] = 1
    return {
        "address": f"{_TOPIC_PREFIX}{topic.name}",
        "messages": {topic.name: message},
        "bindings": {"kafka": kafka},
    }


def _dead_letter_channel(letters: Topic) -> dict[str, JsonValue]:
    name = letters.name
    reasons: list[JsonValue] = [reason.value for reason in Reason]
    headers: dict[str, JsonValue] = {
        "dlq.reason": {"type": "string", "enum": reasons},
        "dlq.errors": {"type": "string"},
    }
    headers |= {
        f"__connect.errors.{part}": {"type": "string"}
        for part in ("topic", "partition", "offset", "stage", "exception.message")
    }
    message: dict[str, JsonValue] = {
        "name": name,
        "summary": letters.summary,
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers},
    }
    kafka: dict[str, JsonValue] = {"partitions": 1, "topicConfiguration": _kept(letters)}
    return {"address": f"{_TOPIC_PREFIX}{name}", "messages": {name: message}, "bindings": {"kafka": kafka}}


def _kept(topic: Topic) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {"cleanup.policy": [topic.cleanup]}
    return kept | ({"retention.ms": topic.retention_ms} if topic.cleanup == "delete" else {})
