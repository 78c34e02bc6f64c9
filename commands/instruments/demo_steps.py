"""The steps of the demo that deploy, refuse, roll back, delete and judge; each adds to the report."""

import asyncio
import statistics
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from broker.records import Outgoing
from broker.requesting import Requester
from commands.instruments.demo_report import Report, Stage
from commands.instruments.parity import count_mixed
from commands.instruments.traffic import Traffic
from commands.support.asking import ask
from commands.support.command_effect import command_and_wait
from commands.support.pages import read_page
from commands.support.patience import Patience
from commands.support.run_request import send_trigger, wait_for_run
from commands.support.serving_evidence import show_decision
from commands.support.session import out, table
from commands.support.topic_state import read_catalog, read_decisions, read_releases
from embedded.errors import NotReadyError
from embedded.supervisor import LOOP, Supervisor
from media.pictures import stored_pictures
from schemas.releases import DeploymentCommand
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import Settings
from schemas.training import Decision, RunState, TrainingRun, Trigger

PER_SECOND = 22.0
PHASE_S = 12.0
# Limits by progress: a busy machine may take as long as it needs, as long as something moves.
QUIET_S = 300.0
RUN_QUIET_S = 600.0
ADVICE = "The machine may be too busy: end other work and try again, or look into the logs."
# What of a page moves with the work, and not with the clock.
_MOVING = {"ready", "reason", "waiting", "intake", "catalog", "generation", "building"}


async def _run(settings: Settings, text: str, **fields: Any) -> tuple[TrainingRun, Decision | None]:
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex, requested_at=datetime.now(UTC), requested_by="demo", **fields
    )
    with Stage(text) as stage:
        await send_trigger(settings, trigger)
        run = await wait_for_run(
            settings,
            trigger.trigger_id,
            quiet_s=RUN_QUIET_S,
            on_change=lambda r: stage.say(f"{r.state.value} {r.progress:.0%} {r.detail}"),
        )
    return run, next((d for d in await read_decisions(settings) if d.run_id == run.run_id and d.checks), None)


async def deploy(settings: Settings, traffic: Traffic, report: Report) -> None:
    """Train while traffic flows, and check that the candidate serves in the end."""
    await asyncio.sleep(PHASE_S)
    traffic.phase = "during"
    run, decision = await _run(settings, f"a training run, while {PER_SECOND:.0f} searches a second flow")
    if decision is not None:
        show_decision(decision)
    report.facts["verdict"] = run.verdict
    report.facts["ndcg10"] = _means(decision)
    report.check(
        run.state is RunState.DEPLOYED,
        (
            f"the trained candidate was deployed ({run.state.value}: "
            f"{run.error.message if run.error else run.detail})"
        ),
    )
    live, _ = await read_releases(settings)
    report.facts["generations"] = [1, live.live.generation if live else None]
    report.check(live is not None and live.live.generation == 2, "generation 2 serves")
    traffic.phase = "after"
    await asyncio.sleep(PHASE_S)


def _means(decision: Decision | None) -> dict[str, dict[str, float]]:
    return (
        {}
        if decision is None
        else {s: {k: round(v.mean, 4) for k, v in by.items()} for s, by in decision.ndcg10.items()}
    )


async def refuse_shuffled(settings: Settings, traffic: Traffic, report: Report) -> None:
    """Train on shuffled labels, and check that the gate refuses it."""
    traffic.phase = "shuffled"
    run, _ = await _run(
        settings, "a candidate trained on shuffled labels", params={"label_shuffle_seed": 1, "max_steps": 20}
    )
    report.facts["bad_candidate_verdict"] = run.verdict
    report.check(run.state is RunState.FAILED_GATE, f"the gate refuses it ({run.state.value})")


async def roll_back(settings: Settings, traffic: Traffic, report: Report) -> None:
    """Roll back to generation 1, and check how long it took."""
    traffic.phase = "rollback"
    command = DeploymentCommand(
        command_id=uuid.uuid4().hex, action="rollback", reason="demo", actor="demo", expected_generation=2
    )
    with Stage("roll back"):
        effect = await command_and_wait(settings, command, deadline_s=QUIET_S)
    pointer, took = effect.pointer, effect.took_s
    report.facts["rollback_ms"] = round(took * 1000)
    report.check(
        pointer is not None and pointer.live.generation == 1,
        f"rolled back to generation 1 in {took * 1000:.0f} ms ({effect.detail})",
    )
    bar = limit_s(traffic, 1.0)
    report.check(
        took <= bar,
        "within a second"
        if bar == 1.0
        else f"within {bar:.1f} s, thirty times what a search takes on this busy machine",
    )
    await asyncio.sleep(3)


async def delete(
    settings: Settings,
    producer: Any,
    requester: Requester,
    examples: list[str],
    report: Report,
    *,
    within_s: float,
) -> None:
    """Delete a product that is shown, and check that no answer shows it any more."""
    victim = (await _hits(requester, settings, examples[0])).hits[0].product_id
    with Stage("delete a product that is on top of an answer"):
        await producer.send(Outgoing(settings.topic("products"), None, key=victim.encode()))
        started = time.monotonic()
        gone = False
        while not gone and time.monotonic() - started < within_s:
            gone = all(h.product_id != victim for h in (await _hits(requester, settings, examples[0])).hits)
        took = time.monotonic() - started
    returned = sum(
        [victim in {h.product_id for h in (await _hits(requester, settings, q)).hits} for q in examples]
    )
    report.facts |= {"deleted_returned": returned, "deleted_gone_ms": round(took * 1000)}
    report.check(gone and returned == 0, f"it was gone from the answers after {took * 1000:.0f} ms")


async def judge_traffic(settings: Settings, traffic: Traffic, report: Report) -> None:
    """Check every answer of the traffic: none failed, none mixes generations."""
    with Stage("recomputing every score with the model of the generation that the answer names"):
        _, releases = await read_releases(settings)
        catalog = await read_catalog(settings)
        by_number = {r.generation: r for r in releases}
        pictures = stored_pictures(settings.artefact_address)
        checked, mixed = await asyncio.to_thread(count_mixed, traffic.answers, by_number, catalog, pictures)
    failed = sum(a.failed for a in traffic.answers)
    by_generation = Counter(a.response.generation for a in traffic.answers if a.response)
    report.facts["requests"] = {
        "sent": traffic.sent,
        "answered": len(traffic.answers),
        "failed": failed,
        "mixed": mixed,
        "checked": checked,
        "held_back": traffic.held_back,
    }
    report.facts["latency_ms"] = traffic.latency_ms()
    table(
        "latency in ms",
        ["phase", "p50", "p99", "requests"],
        [(p, v["p50"], v["p99"], int(v["n"])) for p, v in report.facts["latency_ms"].items()],
    )
    out.print(f"{traffic.sent} requests, answered by generation: {dict(by_generation)}", highlight=False)
    report.check(traffic.sent == len(traffic.answers), "every request was answered")
    report.check(failed == 0, "none failed")
    report.check(mixed == 0 and checked > 0, f"none of {checked} mixes generations")
    report.check({1, 2} <= by_generation.keys(), "both generations answered while traffic flowed")


async def _hits(requester: Requester, settings: Settings, query: str) -> SearchResponse:
    """Ask until an answer comes; a busy machine may let one request expire."""
    patience = Patience(f"the search {query!r}", "an answer", quiet_s=QUIET_S, advice=ADVICE)
    why: object = "no answer"
    while True:
        with suppress(TimeoutError):
            request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query, k=5, timeout_ms=10_000)
            response, _ = await ask(requester, settings, request)
            if response.status in {Status.OK, Status.PARTIAL}:
                return response
            why = response.error.message if response.error else response.status.value
        patience.saw(why)


async def ready(settings: Settings, servers: Supervisor) -> None:
    """Wait until every process is ready.

    For as long as products are taken in, indexed, or a process comes up.
    """
    patience = Patience("the start", "every process to be ready", quiet_s=QUIET_S, advice=ADVICE)
    while True:
        pages = {name: await asyncio.to_thread(read_page, settings, name, "readyz") for name in LOOP}
        if all(page.get("ready") for page in pages.values()):
            return
        if refused := servers.refused():
            raise NotReadyError("; ".join(refused.values()))
        told = {name: {k: v for k, v in page.items() if k in _MOVING} for name, page in pages.items()}
        patience.saw(told | {"restarts": {name: servers.restarts(name) for name in LOOP}})
        await asyncio.sleep(0.2)


def limit_s(traffic: Traffic, bar_s: float) -> float:
    """Return the limit of a promise in seconds.

    Longer where a search itself takes long, since the machine is busy then.
    """
    taken = [a.latency_ms for a in traffic.answers[-200:]]
    return max(bar_s, 30 * bar_s * statistics.median(taken) / 1000) if taken else bar_s


async def titles(requester: Requester, settings: Settings, query: str) -> list[str]:
    """Return what an answer shows."""
    return [
        str(h.fields.get("title") or h.product_id) for h in (await _hits(requester, settings, query)).hits
    ]
