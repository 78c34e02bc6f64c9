"""Tell the world of a decision, and if it is positive, have the candidate deployed and wait until it serves.

Every message has the run's id in its own id, so that a run killed here says the same again and nothing
happens twice.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from broker.producing import open_producer
from broker.records import Outgoing
from schemas.releases import Candidate, DeploymentCommand, Release
from schemas.settings import TrainerSettings
from schemas.topics import DECISIONS, DEPLOYMENT_COMMANDS
from schemas.training import Decision, RunError, RunState
from trainer.gate.verdict import overall
from trainer.run.folder import RunOutcome
from trainer.run.generations import RefusedError, await_release


def command_for(
    decision: Decision, candidate: Candidate, deployment: str, *, valid: timedelta
) -> DeploymentCommand:
    """Return the promotion of a candidate.

    To be begun within ``valid`` of the decision, while the generation it was compared with is live. The same
    for the same decision, so that a repeat has no other end.
    """
    forced = decision.verdict == "forced"
    return DeploymentCommand(
        command_id=f"promote-{decision.decision_id}",
        deployment=deployment,
        action="promote",
        expected_generation=decision.generation_before,
        candidate=candidate,
        force=forced,
        reason=(decision.reasons[0] if forced else "the gate passed")[:500],
        actor="trainer",
        at=decision.at,
        expires_at=decision.at + valid,
    )


def metrics_of(decision: Decision) -> dict[str, float]:
    """Return the scores as flat numbers: ``ndcg10_<system>_<segment>``, ``ndcg10_gain_<part>_<segment>``."""
    gains = {f"gain_{part}": by for part, by in decision.part_gains.items()}
    return {
        f"ndcg10_{system}_{segment}": round(score.mean, 6)
        for system, row in {**decision.ndcg10, **gains}.items()
        for segment, score in row.items()
    }


def carry_out(
    settings: TrainerSettings,
    decision: Decision,
    candidate: Candidate,
    *,
    dry_run: bool,
    deploying: Callable[[str], None],
) -> RunOutcome:
    """Publish the decision and carry it out. Returns how the run ends.

    The indexer must have begun with a promotion within ``deploy_timeout``; from then on the run follows it.
    ``deploying`` is told what is waited for.
    """
    return asyncio.run(_carry_out(settings, decision, candidate, dry_run=dry_run, deploying=deploying))


async def _carry_out(
    settings: TrainerSettings,
    decision: Decision,
    candidate: Candidate,
    *,
    dry_run: bool,
    deploying: Callable[[str], None],
) -> RunOutcome:
    verdict: Literal["pass", "fail", "inconclusive"] = (
        overall(decision.checks) if decision.verdict == "forced" else decision.verdict
    )
    base = RunOutcome(
        state=RunState.SKIPPED,
        verdict=verdict,
        metrics=metrics_of(decision),
        detail="; ".join(decision.reasons)[:1000],
    )
    async with open_producer(settings, linger_ms=0) as producer:
        key = (decision.run_id or decision.decision_id).encode()
        await producer.send(Outgoing(settings.topic(DECISIONS.name), decision.to_json(), key=key))
        if decision.verdict in {"fail", "inconclusive"}:
            return base.model_copy(
                update={"state": RunState.FAILED_GATE if verdict == "fail" else RunState.INCONCLUSIVE}
            )
        if dry_run:
            return base.model_copy(
                update={"detail": f"dry run: the verdict is {decision.verdict}, nothing was promoted"}
            )
        deploying("waiting for the indexer to begin with the candidate")
        command = command_for(decision, candidate, settings.deployment, valid=settings.deploy_timeout)
        await producer.send(
            Outgoing(
                settings.topic(DEPLOYMENT_COMMANDS.name), command.to_json(), key=settings.deployment.encode()
            )
        )
    try:
        generation = await await_release(
            settings, command, decision.run_id or "", building=lambda r: deploying(_words(r))
        )
    except RefusedError as error:
        return _failed(base, "deployment_refused", str(error))
    if generation is None:
        message = (
            f"the indexer had not begun by {command.expires_at:%Y-%m-%d %H:%M:%S} UTC, and refuses the "
            "command from then on: does it run?"
        )
        return _failed(base, "deploy_timeout", message)
    return base.model_copy(update={"state": RunState.DEPLOYED, "generation": generation})


def _words(release: Release) -> str:
    again = f", attempt {release.attempts}" if release.attempts > 1 else ""
    return f"generation {release.generation} is {release.state.value}{again}"


def _failed(base: RunOutcome, code: str, message: str) -> RunOutcome:
    error = RunError(code=code, message=message[:1000], retryable=True)
    return base.model_copy(update={"state": RunState.FAILED, "detail": message[:1000], "error": error})
