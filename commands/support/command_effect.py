"""Asking the indexer to change what serves, and waiting for the effect."""

import time
from dataclasses import dataclass
from enum import Enum, auto

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from commands.support.topic_state import read_release_log, readable
from operations.command_outcome import other_model
from schemas.releases import DeploymentCommand, LivePointer, Release, ReleaseFailure
from schemas.settings import Settings
from schemas.training import Decision


class CommandOutcome(Enum):
    """How the wait for a command has ended."""

    DONE = auto()
    REFUSED = auto()
    PENDING = auto()


@dataclass(frozen=True)
class Effect:
    """What was seen of a command.

    ``pointer`` is what serves once it is done; None when it is not, or when nothing serves yet. ``before``
    is the newest generation of another model that can serve then.
    """

    outcome: CommandOutcome
    pointer: LivePointer | None
    detail: str
    took_s: float
    before: int | None = None


async def command_and_wait(settings: Settings, command: DeploymentCommand, *, deadline_s: float) -> Effect:
    """Write a command and wait for its effect, or until the deadline."""
    topics = [settings.topic("releases"), settings.topic("decisions")]
    async with (
        open_reader(settings, topics, start="end", fetch_wait_ms=50) as reader,
        open_producer(settings, linger_ms=0) as producer,
    ):
        await reader.positions()
        releases = await read_release_log(settings)
        started = time.monotonic()
        await producer.send(
            Outgoing(
                settings.topic("deployment-commands"), command.to_json(), key=settings.deployment.encode()
            )
        )
        while time.monotonic() - started < deadline_s:
            for record in await reader.poll(timeout_ms=50):
                took = time.monotonic() - started
                if record.topic == topics[0]:
                    done = _effect(command, releases.take(record))
                    if done is not None:
                        before = other_model(releases.pointer, releases.releases)
                        return Effect(CommandOutcome.DONE, releases.pointer, done, took, before)
                elif record.value and command.command_id.encode() in record.value:
                    reasons = _refusal(record.value)
                    if reasons is not None:
                        return Effect(CommandOutcome.REFUSED, None, reasons, took)
    until = (
        f" until {command.expires_at:%H:%M:%S} UTC; after that it is refused" if command.expires_at else ""
    )
    waits = (
        f"still pending after {deadline_s:.0f} s: the command waits for the indexer{until}. `searchloop "
        "status` tells whether it runs"
    )
    return Effect(CommandOutcome.PENDING, None, waits, deadline_s)


def _effect(command: DeploymentCommand, said: LivePointer | Release | None) -> str | None:
    """Return in words what the record shows to have been done; None when it is of another command."""
    if isinstance(said, LivePointer):
        return "done" if said.command_id == command.command_id else None
    aborted = command.action == "abort" and said is not None and said.failure is ReleaseFailure.ABORTED
    return "aborted before anything served" if aborted else None


def _refusal(raw: bytes) -> str | None:
    decision = readable(Decision.from_json, raw)
    return "; ".join(decision.reasons) if decision is not None and decision.verdict == "fail" else None
