"""What a change of deployment looks like on the topics.

The next pointer, and the decision that keeps the evidence. Pure.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from schemas.releases import (
    Candidate,
    DeploymentCommand,
    LivePointer,
    Ranking,
    Release,
    ReleaseState,
    RolledBack,
    rejection_id,
)
from schemas.training import Check, Decision

REMEMBERED = 20
NO_REASON = "no reason was given"


def switched(
    before: LivePointer | None,
    release: Release,
    command: DeploymentCommand | None,
    *,
    deployment: str,
    now: datetime,
) -> LivePointer:
    """Return the pointer that lets ``release`` serve.

    What served becomes the previous one, marked as rolled back where that is why. Where the weights stay, so
    does the promotion that made them serve.
    """
    previous = before.live if before else None
    lasting = before.lasting if before and before.live.collection == release.collection else None
    if previous and command and command.action == "rollback":
        past = RolledBack(
            actor=command.actor,
            reason=command.reason or NO_REASON,
            at=now,
            weights=previous.collection != release.collection,
        )
        previous = previous.model_copy(update={"rolled_back": past})
    return LivePointer(
        deployment=deployment,
        sequence=before.next_sequence if before else 1,
        live=release,
        previous=previous,
        cause=_cause(command),
        command_id=command.command_id if command else None,
        carried_out=_carried_out(before, command),
        forced=command.force if command else False,
        actor=command.actor if command else "indexer",
        paused=before.paused if before else False,
        pinned=before.pinned if before else False,
        at=now,
        refreshed=lasting,
    )


def _cause(command: DeploymentCommand | None) -> str:
    if command is None:
        return "first"
    return "refresh" if command.candidate and command.candidate.kind == "refresh" else command.action


def refreshing(
    live: Release, candidate: Candidate, command: DeploymentCommand, *, number: int, now: datetime
) -> Release:
    """Return the record of a refresh of the live generation, before it is proven."""
    return Release(
        generation=number,
        kind="refresh",
        model=live.model,
        model_sha256=live.model_sha256,
        dim=live.dim,
        composition=live.composition,
        ranking=candidate.ranking,
        collection=live.collection,
        catalog_offsets=live.catalog_offsets,
        row_count=live.row_count,
        id_set_sha256=live.id_set_sha256,
        parent=live.generation,
        run_id=candidate.run_id,
        decision_id=candidate.decision_id,
        command=command,
        state=ReleaseState.BUILDING,
        at=now,
    )


def marked(
    before: LivePointer, command: DeploymentCommand, *, paused: bool, pinned: bool, now: datetime
) -> LivePointer:
    """Return the pointer with other marks; the same generation serves."""
    return before.model_copy(
        update={
            "sequence": before.next_sequence,
            "cause": command.action,
            "command_id": command.command_id,
            "carried_out": _carried_out(before, command),
            "actor": command.actor,
            "paused": paused,
            "pinned": pinned,
            "at": now,
            "refreshed": before.lasting,
        }
    )


def taken_out(pointer: LivePointer) -> Release | None:
    """Return the record of the generation that a rollback has just taken out of service.

    None where the pointer is no rollback.
    """
    if pointer.cause != "rollback" or pointer.previous is None:
        return None
    past = pointer.previous.rolled_back or RolledBack(
        actor=pointer.actor,
        reason=NO_REASON,
        at=pointer.at,
        weights=pointer.previous.collection != pointer.live.collection,
    )
    return pointer.previous.model_copy(update={"rolled_back": past})


def _carried_out(before: LivePointer | None, command: DeploymentCommand | None) -> list[str]:
    known = list(before.carried_out) if before else []
    return [*known, *([command.command_id] if command else [])][-REMEMBERED:]


def decision_id(pointer: LivePointer) -> str:
    """Return the id of the decision of a pointer: the same when it is written again after a crash."""
    return f"{pointer.deployment}-{pointer.sequence:06d}"


def of_pointer(
    pointer: LivePointer,
    *,
    before: int | None,
    command: DeploymentCommand | None = None,
    checks: Sequence[Check] = (),
) -> Decision:
    """Return the evidence of a pointer that was published: who, why, from which generation to which."""
    verdict: Literal["pass", "forced"] = "forced" if command and command.force else "pass"
    reasons = [pointer.cause, *([command.reason] if command and command.reason else [])]
    return Decision(
        decision_id=decision_id(pointer),
        kind=pointer.live.kind,
        run_id=pointer.live.run_id,
        verdict=verdict,
        reasons=reasons,
        checks=list(checks),
        candidate_sha256=pointer.live.model_sha256,
        generation_before=before,
        generation_after=pointer.live.generation,
        actor=pointer.actor,
        at=pointer.at,
    )


def of_overruled(pointer: LivePointer, records: int, now: datetime) -> Decision:
    """Return the evidence that records of somebody else on ``releases`` were overruled.

    The same generation serves.
    """
    return Decision(
        decision_id=decision_id(pointer),
        run_id=pointer.live.run_id,
        verdict="pass",
        reasons=[
            "overruled",
            f"{records} records on releases were not written by the indexer: who may write there?",
        ],
        generation_before=pointer.live.generation,
        generation_after=pointer.live.generation,
        actor="indexer",
        at=now,
    )


def of_refusal(command: DeploymentCommand, reason: str, live: int | None, now: datetime) -> Decision:
    """Return the evidence of a command that was rejected."""
    candidate = command.candidate
    return Decision(
        decision_id=rejection_id(command.deployment, command.command_id),
        kind=candidate.kind if candidate else "full",
        run_id=candidate.run_id if candidate else None,
        verdict="fail",
        reasons=[f"{command.action} rejected", reason],
        candidate_sha256=candidate.model_sha256 if candidate else None,
        candidate_ranking=candidate.ranking if candidate else Ranking(),
        generation_before=live,
        generation_after=live,
        actor=command.actor,
        at=now,
    )


def of_failure(
    release: Release,
    reasons: Sequence[str],
    checks: Sequence[Check],
    live: int | None,
    now: datetime,
    *,
    actor: str | None = None,
) -> Decision:
    """Return the evidence of a generation that was not published.

    ``actor`` is who ended it, if not the one who asked for it.
    """
    return Decision(
        decision_id=f"generation-{release.generation:06d}-failed",
        kind=release.kind,
        run_id=release.run_id,
        verdict="fail",
        reasons=[f"generation {release.generation} was not published", *reasons],
        checks=list(checks),
        candidate_sha256=release.model_sha256,
        generation_before=live,
        generation_after=live,
        actor=actor or (release.command.actor if release.command else "indexer"),
        at=now,
    )
