"""What the trainer reads of ``releases`` and ``decisions``.

The live generation, and what became of a promotion.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from broker.by_time import written_since
from broker.guarding import judged
from broker.reading import open_reader
from broker.records import Record
from broker.release_log import ReleaseLog
from schemas.releases import DeploymentCommand, LivePointer, Release, ReleaseState, rejection_id
from schemas.settings import TrainerSettings
from schemas.topics import DECISIONS, RELEASES
from schemas.training import Decision
from trainer.run.folder import failed

LIVE_WAIT = timedelta(seconds=60)
EXPIRY_GRACE = timedelta(minutes=1)  # by how much the clocks of two machines may differ
_IN_BUILD = frozenset({ReleaseState.BUILDING, ReleaseState.VERIFIED})
_WAS_LIVE = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED, ReleaseState.DROPPED})


class RefusedError(RuntimeError):
    """The indexer did not publish the candidate; says why."""


async def await_live(settings: TrainerSettings, wait: timedelta) -> LivePointer | None:
    """Return the newest live pointer of the deployment, waiting for the first one.

    None when there is none in time.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait.total_seconds()
    async with open_reader(settings, [settings.topic(RELEASES.name)]) as reader:
        releases = ReleaseLog(settings.deployment)
        async for record in reader.until(await reader.end_offsets()):
            releases.take(record)
        while releases.pointer is None and loop.time() < end:
            for record in await reader.poll():
                releases.take(record)
        return releases.pointer


def find_live(settings: TrainerSettings) -> LivePointer:
    """Return what serves now; an entire run compares with it. Fails the run when nothing serves."""
    live = asyncio.run(await_live(settings, LIVE_WAIT))
    if live is None:
        raise failed(
            "no_live_release",
            (
                f"no generation is live after {LIVE_WAIT.total_seconds():.0f} s: is the indexer running, "
                "and are there products?"
            ),
            retryable=True,
        )
    return live


async def read_history(settings: TrainerSettings) -> tuple[list[Release], list[Decision]]:
    """Return every generation's newest record, and every decision in the order in which they were written."""
    topics = [settings.topic(RELEASES.name), settings.topic(DECISIONS.name)]
    releases = ReleaseLog(settings.deployment)
    decisions: list[Decision] = []
    async with open_reader(settings, topics) as reader:
        async for record in reader.until(await reader.end_offsets()):
            if record.topic == topics[1]:
                decision = judged(_decision, record)
                if isinstance(decision, Decision):
                    decisions.append(decision)
            else:
                releases.take(record)
    return releases.releases, decisions


async def await_release(
    settings: TrainerSettings,
    command: DeploymentCommand,
    run_id: str,
    *,
    building: Callable[[Release], None] = lambda _: None,
    grace: timedelta = EXPIRY_GRACE,
) -> int | None:
    """Return the generation that serves a run's candidate.

    Read from the topics' beginnings, decisions from when the command was made, so that it also answers after
    a restart. Waits for as long as the indexer builds it, which ``building`` is told of. None when the
    indexer had not begun ``grace`` after the command expired: from then on it refuses it, so that no run is
    said to have failed whose generation goes live later. Raises ``RefusedError`` when the indexer rejected
    the command or failed the build.
    """
    decisions = settings.topic(DECISIONS.name)
    releases, begun = ReleaseLog(settings.deployment), None
    written = await written_since(settings, [decisions], command.at - EXPIRY_GRACE)
    start = {place: offsets.start for place, offsets in written.items()}
    async with open_reader(settings, [settings.topic(RELEASES.name), decisions], start=start) as reader:
        while True:
            expired = command.expires_at is not None and datetime.now(UTC) > command.expires_at + grace
            last_look = expired and begun is None
            for record in (
                [r async for r in reader.until(await reader.end_offsets())]
                if last_look
                else await reader.poll()
            ):
                if record.topic == decisions:
                    raise_if_rejected(record, rejection_id(settings.deployment, command.command_id))
                    continue
                said = releases.take(record)
                generation = published(said, run_id, command.command_id)
                if generation is not None:
                    return generation
                if isinstance(said, Release) and said.run_id == run_id and said.state in _IN_BUILD:
                    begun = said
                    building(said)
            if last_look and begun is None:
                return None


def published(said: LivePointer | Release | None, run_id: str, command_id: str) -> int | None:
    """Return the generation if ``releases`` says that the run's candidate serves or served.

    Raises ``RefusedError`` for a failed build.
    """
    if isinstance(said, LivePointer):
        ours = said.live.run_id == run_id or (said.command_id == command_id and said.cause == "promote")
        return said.live.generation if ours else None
    if said is None or said.run_id != run_id:
        return None
    if said.state == ReleaseState.FAILED:
        raise RefusedError(f"generation {said.generation} failed: {said.error}")
    return said.generation if said.state in _WAS_LIVE else None


def raise_if_rejected(record: Record, decision_id: str) -> None:
    """Raise ``RefusedError`` when a decision is the indexer's rejection with this id."""
    decision = judged(_decision, record)
    if isinstance(decision, Decision) and decision.decision_id == decision_id:
        raise RefusedError("; ".join(decision.reasons))


def _decision(record: Record) -> Decision | None:
    with suppress(ValidationError):
        return Decision.from_json(record.value or b"")
    return None
