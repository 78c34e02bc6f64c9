"""What datamodel-codegen makes of the published schemas is taken as it stands.

It takes what searchloop writes. The generator is installed into an environment of its own, from the registry
that pip is configured for; without one this skips.
"""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from benchmarks.interop.environments import NotInstalledError, interpreter_with
from broker.records import Record
from inbound.validators import VALIDATORS
from schemas.base import Message
from schemas.decoding import read
from schemas.events import Erasure, Interaction, Search
from schemas.products import Product
from schemas.publish import json_schema
from schemas.rejections import Rejection
from schemas.releases import DeploymentCommand
from schemas.search import SearchRequest
from schemas.settings import StreamSettings
from schemas.topics import TOPICS
from schemas.training import Trigger
from tests.contracts.examples import AT, MESSAGES, RAW

# The generator writes the default of an enum as text, which pydantic tells when it is serialised; the text is
# right.
pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]
GENERATOR = "datamodel-code-generator==0.89.0"
SENT: dict[str, type[Message]] = {
    "searches": Search, "interactions": Interaction, "erasures": Erasure, "products": Product,
    "search-requests": SearchRequest, "training-triggers": Trigger, "deployment-commands": DeploymentCommand,
}  # fmt: skip
WRITTEN = [t.name for t in TOPICS if t.value is not None and t.name not in SENT]
OF_UNIONS = {
    "events": {"CleanSearch", "CleanInteraction", "Forget", "Tick"},
    "contributions": {"Contribution", "ClientErasure"},
}
OF_UNIONS["releases"] = {"Release", "LivePointer"}


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> ModuleType:
    """Return the package that the generator makes of all schemas, without any option of how."""
    try:
        python = interpreter_with(GENERATOR)
    except NotInstalledError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("generated")
    name = f"models_of_{folder.name.replace('-', '_')}"
    command = [
        python.with_name("datamodel-codegen"), "--input", Path(__file__).parents[2] / "schemas" / "json",
        "--input-file-type", "jsonschema", "--output-model-type", "pydantic_v2.BaseModel", "--output",
        folder / name,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(folder))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(folder))


def root_of(package: ModuleType, topic: str) -> type[BaseModel]:
    module = import_module(f"{package.__name__}.{topic.replace('-', '_')}")
    return getattr(module, "".join(part.capitalize() for part in topic.split("-")))


def required_only(topic: str, body: dict[str, Any]) -> dict[str, Any]:
    """Leave out what need not be there, but for who, what and when it was."""
    return {
        k: v
        for k, v in body.items()
        if k in {*json_schema_required(topic), "client_id", "object_id", "at", "requested_at"}
    }


def json_schema_required(topic: str) -> list[str]:
    return json_schema(next(t for t in TOPICS if t.name == topic))["required"]


def bodies(topic: str) -> list[dict[str, Any]]:
    full = [json.loads(m.to_json()) for m in MESSAGES if type(m) is SENT[topic]]
    raw = [without_other_spellings(body) for name, body in RAW if name == topic]
    return [*full, *(required_only(topic, body) for body in full), *raw]


def without_other_spellings(body: dict[str, Any]) -> dict[str, Any]:
    """Return a raw body in the names that are published.

    Older names and versions as text are taken, and not offered.
    """
    text = json.dumps({k: v for k, v in body.items() if k != "schema_version"})
    text = text.replace('"product_id"', '"object_id"') if "title" not in body else text
    return json.loads(text.replace("query_response_objects_ids", "query_response_hit_ids"))


@pytest.mark.parametrize("topic", SENT)
def test_what_a_generated_model_sends_is_taken_as_it_stands(generated, topic: str):
    """With null for all that was not set, as ``model_dump_json`` writes it."""
    root = root_of(generated, topic)
    sent = bodies(topic)
    assert len(sent) >= 2
    for body in sent:
        value = root.model_validate_json(json.dumps(body)).model_dump_json().encode()
        ours = read(json.dumps(body).encode(), SENT[topic])
        assert not isinstance(ours, Rejection), ours
        assert read(value, SENT[topic]) == ours
        if topic in VALIDATORS:
            key = str(body.get("product_id", "k")).encode()
            outcome = VALIDATORS[topic](Record(topic, 0, 0, 0, key, value), AT, StreamSettings())
            assert not isinstance(outcome, Rejection), outcome


@pytest.mark.parametrize("topic", WRITTEN)
def test_what_searchloop_writes_is_read_by_a_generated_model(generated, topic: str):
    root = root_of(generated, topic)
    value = next(t.value for t in TOPICS if t.name == topic)
    names = OF_UNIONS.get(topic, {value.__name__})
    written = [m for m in MESSAGES if type(m).__name__ in names]
    assert len(written) == len(names)
    for message in written:
        found = root.model_validate_json(message.to_json())
        assert type(getattr(found, "root", found)).__name__ in {*names, root.__name__}
        if topic in OF_UNIONS:
            assert type(found.root).__name__ == type(message).__name__
