"""What anybody may write to ``deployment-commands``.

Each is a command, or refused with a reason, and never an exception.
"""

import json

import pytest

from broker.guarding import judged
from broker.records import Record
from indexer.commands import parse
from schemas.bounds import REQUEST_BYTES
from schemas.rejections import Reason, Rejection
from schemas.releases import DeploymentCommand
from tests.indexer.builders import a_command


def record(value: bytes | None, key: bytes | None = b"main") -> Record:
    return Record("deployment-commands", 0, 0, 0, key, value)


def test_a_command_is_read_as_it_was_written() -> None:
    command = a_command("pause")
    assert judged(parse, record(command.to_json())) == command


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.JSON_DECODE),
        (b"", Reason.JSON_DECODE),
        (b"{not json", Reason.JSON_DECODE),
        (b"[" * 5000, Reason.JSON_DECODE),
        (b'{"command_id":"c","action":"pause","x":' + b"[" * 300 + b"]" * 300 + b"}", None),
        (b'{"command_id":"\\ud800","action":"pause"}', None),
        (b'{"command_id":"c","action":"dance"}', Reason.SCHEMA),
        (b"\xff" * 100, Reason.JSON_DECODE),
        (b"x" * (8 << 20), Reason.TOO_LARGE),
        (json.dumps({"command_id": "c", "action": "promote", "at": "0001-01-01T00:00:00+14:00"}).encode(),
         None),
        (b'{"command_id":"c","action":"promote","candidate":{"model":"' + b"m" * REQUEST_BYTES + b'"}}',
         Reason.TOO_LARGE),
    ],
    ids=["null", "empty", "no json", "deep", "deep beside", "surrogate", "unknown action", "bytes", "8 MB",
         "year 1", "long path"],
)  # fmt: skip
def test_what_cannot_be_carried_out_is_refused_with_a_reason(
    value: bytes | None, reason: Reason | None
) -> None:
    """A promote of the year 1 ended the indexer at every start: its refusal could not be written."""
    refused = judged(parse, record(value))
    assert isinstance(refused, Rejection)
    assert reason in {None, refused.reason}
    assert refused.problems


def test_what_is_accepted_can_be_written_again() -> None:
    for at in ("1999-01-01T00:00:00Z", 0, 253_000_000_000):
        accepted = judged(
            parse, record(json.dumps({"command_id": "c", "action": "pause", "at": at}).encode())
        )
        assert isinstance(accepted, DeploymentCommand)
        assert DeploymentCommand.from_json(accepted.to_json()) == accepted
