"""What the trainer reads of ``releases`` and ``decisions``.

The live generation, and what became of a promotion.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from broker.guarding import judged
from broker.pointer_chain import Chain
from broker.reading import open_reader
from broker.records import Record
from schemas.releases import DeploymentCommand, LivePointer, Release, ReleaseState, is_release_key
from schemas.settings import TrainerSettings
from schemas.topics import DECISIONS, RELEASES
from schemas.training import Decision

EXPIRY_GRACE = timedelta(minutes=1)  # by how much the clocks of two machines may differ
_WAS_LIVE = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED, ReleaseState.DROPPED})


class RefusedError(RuntimeError):
    """The indexer did not publish the candidate; says why."""


async def await_live(settings: TrainerSettings, wait: timedelta) -> LivePointer | None:
    """Return the newest live pointer of the deployment, waiting for the first one.

    None when there is none in time.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait.total_seconds()
    async with open_reader(settings.kafka, [settings.topic(RELEASES.name)]) as reader:
        chain = Chain()
        async for record in reader.until(await reader.end_offsets()):
            follow(chain, record, settings.deployment)
        while chain.known is None and loop.time() < end:
            for record in await reader.poll():
                follow(chain, record, settings.deployment)
        return chain.known


def follow(chain: Chain, record: Record, deployment: str) -> bool:
    """Take a record of ``releases`` in, in the order of the log.

    True where it is the deployment's pointer, and from now on holds.
    """
    return (
        record.key == deployment.encode()
        and record.value is not None
        and judged(lambda r: chain.take(r.value or b""), record) is True
    )


async def read_history(settings: TrainerSettings) -> tuple[list[Release], list[Decision]]:
    """Return every generation's newest record, and every decision in the order in which they were written."""
    topics = [settings.topic(RELEASES.name), settings.topic(DECISIONS.name)]
    releases: dict[int, Release] = {}
    decisions: list[Decision] = []
    async with open_reader(settings.kafka, topics) as reader:
        async for record in reader.until(await reader.end_offsets()):
            if record.topic == topics[1]:
                decision = judged(_decision, record)
                if isinstance(decision, Decision):
                    decisions.append(decision)
            elif record.key is not None and is_release_key(record.key, settings.deployment):
                release = judged(_release, record)
                if isinstance(release, Release):
                    releases[release.generation] = release
    return list(releases.values()), decisions


async def await_release(
    settings: TrainerSettings,
    command: DeploymentCommand,
    run_id: str,
    *,
    building: Callable[[Release], None] = lambda _: None,
    grace: timedelta = EXPIRY_GRACE,
) -> int | None:
    """Return the generation that serves a run's candidate.

    Read from the topics' beginnings, so that it also answers after a restart. Waits for as long as the
    indexer builds it, which ``building`` is told of. None when the indexer had not begun ``grace`` after the
    command expired: from then on it refuses it, so that no run is said to have failed whose generation goes
    live later. Raises ``RefusedError`` when the indexer rejected the command or failed the build.
    """
    decisions = settings.topic(DECISIONS.name)
    begun = None
    async with open_reader(settings.kafka, [settings.topic(RELEASES.name), decisions]) as reader:
        while True:
            expired = command.expires_at is not None and datetime.now(UTC) > command.expires_at + grace
            last_look = expired and begun is None
            for record in (
                [r async for r in reader.until(await reader.end_offsets())]
                if last_look
                else await reader.poll()
            ):
                if record.topic == decisions:
                    raise_if_rejected(record, f"{settings.deployment}-rejected-{command.command_id}")
                    continue
                generation = published(record, settings.deployment, run_id, command.command_id)
                if generation is not None:
                    return generation
                found = build_of(record, run_id)
                if found is not None:
                    begun = found
                    building(found)
            if last_look and begun is None:
                return None


def build_of(record: Record, run_id: str) -> Release | None:
    """Return the generation of a run's candidate if the record says that the indexer builds it."""
    release = judged(_release, record)
    ours = (
        isinstance(release, Release)
        and release.run_id == run_id
        and release.state in {ReleaseState.BUILDING, ReleaseState.VERIFIED}
    )
    return release if ours and isinstance(release, Release) else None


def published(record: Record, deployment: str, run_id: str, command_id: str) -> int | None:
    """Return the generation if the record says that the run's candidate serves or served.

    Raises ``RefusedError`` for a failed build.
    """
    pointer = _pointer(record, deployment)
    if pointer is not None:
        ours = pointer.live.run_id == run_id or (
            pointer.command_id == command_id and pointer.cause == "promote"
        )
        return pointer.live.generation if ours else None
    release = judged(_release, record)
    if not isinstance(release, Release) or release.run_id != run_id:
        return None
    if release.state == ReleaseState.FAILED:
        raise RefusedError(f"generation {release.generation} failed: {release.error}")
    return release.generation if release.state in _WAS_LIVE else None


def raise_if_rejected(record: Record, decision_id: str) -> None:
    """Raise ``RefusedError`` when a decision is the indexer's rejection with this id."""
    decision = judged(_decision, record)
    if isinstance(decision, Decision) and decision.decision_id == decision_id:
        raise RefusedError("; ".join(decision.reasons))


def _decision(record: Record) -> Decision | None:
    with suppress(ValidationError):
        return Decision.from_json(record.value or b"")
    return None


def _release(record: Record) -> Release | None:
    with suppress(ValidationError):
        return Release.from_json(record.value or b"")
    return None


def _pointer(record: Record, deployment: str) -> LivePointer | None:
    if record.key != deployment.encode():
        return None
    pointer = judged(_live_pointer, record)
    return pointer if isinstance(pointer, LivePointer) else None


def _live_pointer(record: Record) -> LivePointer | None:
    with suppress(ValidationError):
        return LivePointer.from_json(record.value or b"")
    return None
