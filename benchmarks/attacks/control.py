"""Attacks on what serves: forged promotions and pointers, the guard as a weapon, commands that come late."""

import asyncio
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.attacks.target import AttackRecord, RunningStack
from benchmarks.deployment.rotated_models import approval, rotated_model
from schemas.releases import Candidate, DeploymentCommand, LivePointer, Release, ReleaseState
from schemas.search import Status
from schemas.training import Decision

_BUILD_S = 300.0
_REFUSAL_S = 60.0
_GUARD_S = 20.0


def a_command(stand: RunningStack, **fields: Any) -> DeploymentCommand:
    """Return a command as whoever can write to the topic sends it."""
    return DeploymentCommand(
        command_id=uuid.uuid4().hex, deployment=stand.settings.deployment, actor="trainer", **fields
    )


async def outcome(
    stand: RunningStack, command: DeploymentCommand, *, within_s: float
) -> tuple[LivePointer | None, str]:
    """Send a command and wait. Returns the pointer that it made, or None and the reason of its refusal."""
    record = AttackRecord(
        topic="deployment-commands", value=command.to_json(), key=stand.settings.deployment.encode()
    )
    before = await stand.pointer()
    refusal = asyncio.create_task(
        stand.answer_on("decisions", command.command_id.encode(), [record], within_s=within_s)
    )
    while not refusal.done():
        now = await stand.pointer()
        if (
            now is not None
            and before is not None
            and now.sequence > before.sequence
            and command.command_id in now.carried_out
        ):
            refusal.cancel()
            return now, "carried out"
        await asyncio.sleep(0.3)
    found = await refusal
    if found is None:
        return None, "no end was seen"
    decision = Decision.from_json(found[0])
    if decision.verdict == "fail":
        return None, "; ".join(decision.reasons)
    return await stand.pointer(), "carried out"


def a_model(stand: RunningStack, folder: str, seed: int) -> Candidate:
    """Return a candidate whose answers are as good as the pretrained model's, and whose weights are new."""
    path = stand.folder / folder / f"{seed}-{uuid.uuid4().hex[:6]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return rotated_model(path, seed=seed, dim=384)


async def forged_promotion(stand: RunningStack) -> dict[str, Any]:
    """Promote weights that nobody judged, with the right fingerprint, in the trainer's name.

    Then with a wrong one; then from elsewhere.
    """
    candidate = a_model(stand, "models", 11)
    forced = {"action": "promote", "force": True, "reason": "the gate passed"}
    made, why = await outcome(stand, a_command(stand, candidate=candidate, **forced), within_s=_REFUSAL_S)
    wrong = candidate.model_copy(update={"model_sha256": "0" * 64})
    _, hint = await outcome(stand, a_command(stand, candidate=wrong, **forced), within_s=_REFUSAL_S)
    elsewhere = a_model(stand, "elsewhere", 12)
    await _approve(stand, elsewhere)
    outside, _ = await outcome(stand, a_command(stand, candidate=elsewhere, **forced), within_s=_REFUSAL_S)
    tells = candidate.model_sha256[:12] in hint
    return {
        "held": made is None and outside is None and not tells,
        "refusal": why[:200],
        "refusal_tells_fingerprint": tells,
    }


async def _approve(stand: RunningStack, candidate: Candidate) -> None:
    decision = approval(candidate, "attack")
    await stand.send(
        [AttackRecord(topic="decisions", value=decision.to_json(), key=decision.decision_id.encode())]
    )


async def promoted(stand: RunningStack, seed: int) -> LivePointer:
    """Promote a good new generation as the trainer would, and return its pointer.

    Raises ``RuntimeError`` when it is refused.
    """
    candidate = a_model(stand, "models", seed)
    await _approve(stand, candidate)
    pointer, why = await outcome(
        stand, a_command(stand, action="promote", candidate=candidate), within_s=_BUILD_S
    )
    if pointer is None:
        raise RuntimeError(f"an honest promotion was refused: {why}")
    while (await stand.search()).generation != pointer.live.generation:  # noqa: ASYNC110 (another process answers)
        await asyncio.sleep(0.2)
    return pointer


async def guard_as_weapon(stand: RunningStack) -> dict[str, Any]:
    """Promote a good generation, then ask 230 searches whose filter matches nothing.

    Then 230 plain ones of one client.
    """
    pointer = await promoted(stand, 21)
    nothing = [{"field": "brand", "value": "no such brand"}]
    for number in range(230):
        await stand.search(f"jacket {number}", filters=nothing, client_id="attacker")
    for number in range(230):
        await stand.search(f"{number}" * 40, offset=900, client_id="attacker")
    await asyncio.sleep(_GUARD_S)
    now = await stand.pointer()
    # Earlier attacks asked to forget, so refreshes of the promoted model may have come meanwhile
    kept = now is not None and now.live.model_sha256 == pointer.live.model_sha256
    return {
        "held": kept,
        "searches": 460,
        "watched_s": _GUARD_S,
        "serves": now.live.generation if now else None,
    }


async def forged_pointer(stand: RunningStack) -> dict[str, Any]:
    """Write a pointer with a huge sequence and a collection that is not there.

    Then roll back as the operator.
    """
    real = await stand.pointer()
    if real is None or real.previous is None:
        return {"held": False, "why": "no generation to go back to"}
    bogus = Release(
        generation=900_000,
        model=real.live.model,
        model_sha256="f" * 64,
        dim=384,
        collection="no_such",
        state=ReleaseState.RELEASED,
    )
    forged = LivePointer(
        deployment=stand.settings.deployment, sequence=999_999, live=bogus, cause="promote", actor="indexer"
    )
    await stand.send(
        [AttackRecord(topic="releases", value=forged.to_json(), key=stand.settings.deployment.encode())]
    )
    await asyncio.sleep(5)
    served = await stand.search()
    command = a_command(stand, action="rollback", force=True, reason="the operator")
    await stand.send(
        [
            AttackRecord(
                topic="deployment-commands", value=command.to_json(), key=stand.settings.deployment.encode()
            )
        ]
    )
    wanted, after = real.previous.generation, None
    for _ in range(60):
        after = await stand.search()
        if after.generation == wanted:
            break
        await asyncio.sleep(0.5)
    answered = served.status is Status.OK and served.generation != 900_000 and bool(served.hits)
    obeyed = after is not None and after.generation == wanted
    return {
        "held": answered and obeyed,
        "served_meanwhile": served.generation,
        "rollback_reached_searcher": obeyed,
    }


async def late_command(stand: RunningStack) -> dict[str, Any]:
    """Send a command whose time is over."""
    past = datetime.now(UTC) - timedelta(seconds=5)
    made, why = await outcome(stand, a_command(stand, action="pin", expires_at=past), within_s=_REFUSAL_S)
    return {"held": made is None and "expired" in why, "refusal": why}


async def lost_model(stand: RunningStack) -> dict[str, Any]:
    """Move the live model away, start the indexer again, and ask for the other generation."""
    pointer = await promoted(stand, 31)
    folder = Path(pointer.live.model)
    away = folder.with_name(folder.name + "-away")
    shutil.move(folder, away)
    try:
        stand.stack.kill("indexer")
        command = a_command(stand, action="rollback", force=True, reason="its files are gone")
        made, why = await outcome(stand, command, within_s=120)
    finally:
        shutil.move(away, folder)
    return {"held": made is not None and made.live.generation != pointer.live.generation, "outcome": why}
