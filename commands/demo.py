"""``demo``: the whole loop once, on a simulated shop and real servers, with every promise checked.

Each step adds to one report; a check that does not hold is named, and the exit code is then 1.
"""

import asyncio
import shutil
import statistics
import tempfile
import time
import uuid
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from broker.producing import open_producer
from broker.records import Outgoing
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.instruments.conservation import Accounts, settled
from commands.instruments.demo_report import Report, Stage
from commands.instruments.footprint import watch_memory
from commands.instruments.parity import count_mixed
from commands.instruments.traffic import Traffic, steady_traffic
from commands.support.asking import ask
from commands.support.deployment import command_and_wait
from commands.support.evidence import show_decision
from commands.support.pages import read_page
from commands.support.patience import Patience
from commands.support.session import err, out, show_json, table
from commands.support.topic_state import read_catalog, read_decisions, read_pairs, read_releases
from commands.support.training import send_trigger, wait_for_run
from embedded.errors import EmbeddedError, NotReadyError
from embedded.supervisor import PROCESSES, Supervisor
from schemas.releases import DeploymentCommand
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import Settings
from schemas.training import Decision, RunState, TrainingRun, Trigger
from simulator.shop import Shop

PER_SECOND = 22.0
PHASE_S = 12.0
MAX_STEPS = 50  # by default about twice as many; the demo has eight minutes
# Limits by progress: a busy machine may take as long as it needs, as long as something moves.
QUIET_S = 300.0
RUN_QUIET_S = 600.0
TIMEOUT_MS = 120_000
MOST_FLYING = 100
ADVICE = "The machine may be too busy: end other work and try again, or look into the logs."


# What of a page moves with the work, and not with the clock.
_MOVING = {"ready", "reason", "waiting", "intake", "catalog", "generation", "building"}


def demo(*, data_dir: Path | None, seed: int, keep: bool) -> None:
    """Run the demo, and end with 0 only if every promise held."""
    raise SystemExit(asyncio.run(run_demo(data_dir, seed=seed, keep=keep)))


async def run_demo(data_dir: Path | None, *, seed: int, keep: bool) -> int:
    """Run the demo; return the exit code: 0 only if every promise held."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="searchloop-demo-"))
    report = Report()
    started = time.monotonic()
    env = {"SEARCHLOOP_SEED": str(seed), "SEARCHLOOP_EMIT_SEARCHES": "true", "SEARCHLOOP_MAX_STEPS": str(MAX_STEPS)}
    try:
        async with AsyncExitStack() as stack:
            with Stage("start Kafka, Milvus and the four processes"):
                servers = await stack.enter_async_context(Supervisor(data_dir=folder, env=env, quiet=True))
            memory = await stack.enter_async_context(watch_memory(folder))
            settings = Settings.load(
                {"SEARCHLOOP_KAFKA": servers.kafka, "SEARCHLOOP_MILVUS": servers.milvus, "SEARCHLOOP_DATA_DIR": str(folder)}
            )
            await ensure_topics(settings)
            await _turn(settings, servers, Shop(seed=seed, end=datetime.now(UTC)), report)
            report.facts["stack_rss_mb"] = memory.peak_mb
            report.check(memory.peak_mb <= 4096, f"the whole stack takes at most 4 GB, training included ({memory.peak_mb} MB)")
            report.facts["restarts"] = {name: servers.restarts(name) for name in ("stream", "trainer", "indexer", "searcher")}
            report.check(not any(report.facts["restarts"].values()), "no process crashed")
    except (TimeoutError, EmbeddedError) as error:
        report.check(False, f"every step ends ({error or type(error).__name__}); the logs are in {folder / 'logs'}")
        keep = True
    finally:
        if not keep and data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    for fault in report.faults:
        err.print(Text.assemble(("failed:", "bold red"), f" {fault}"))
    show_json(
        {
            "benchmark": "demo",
            "seed": seed,
            "duration_s": round(time.monotonic() - started, 1),
            "ok": not report.faults,
            **report.facts,
            "faults": report.faults,
        }
    )
    return 1 if report.faults else 0


async def _turn(settings: Settings, servers: Supervisor, shop: Shop, report: Report) -> None:
    accounts = Accounts()
    async with (
        open_producer(settings.kafka, linger_ms=20) as producer,
        open_requester(settings.kafka, settings.topic("search-responses")) as requester,
    ):
        with Stage("the catalogue goes in; generation 1 is built from the pretrained model"):
            await accounts.send(producer, settings, shop.products())
            await _ready(settings, servers)
        with Stage("shoppers search, click, buy and return things for four weeks") as stage:
            for week in range(shop.weeks):
                await accounts.send(producer, settings, shop.events(week))
                stage.say(f"week {week + 1}")
            await settled(settings, accounts, quiet_s=QUIET_S)
        pairs = await read_pairs(settings)
        report.facts |= {"events": accounts.facts(), "pairs": len(pairs)}
        table("refused", ["reason", "records"], sorted(accounts.refused.items()))
        out.print(
            f"sent {accounts.sent}, accepted {accounts.accepted}, refused {accounts.refused.total()}, "
            f"ignored {accounts.ignored}; {len(pairs)} pairs learnt"
        )
        report.check(accounts.balanced, "sent = accepted + refused + ignored")
        planted = sum((shop.expected(week) for week in range(shop.weeks)), Counter())
        expected = Counter[str]()
        for (_, _, reason), n in planted.items():
            if reason is not None:
                expected[reason.value] += n
        missed = {r: (n, accounts.refused[r]) for r, n in expected.items() if accounts.refused[r] < n}
        report.check(not missed, f"every planted fault was refused for its reason {missed or ''}")
        report.check(bool(pairs), "pairs were learnt")
        asked = shop.queries(shop.weeks - 1, 300)
        taught = [q.text for q in shop.examples(3)]
        examples = list(dict.fromkeys(taught + [q.text for q in asked if not q.seen and q.gains]))[:5]
        before = {q: await _titles(requester, settings, q) for q in examples}
        queries = [q.text for q in asked]
        asking = steady_traffic(requester, settings, queries, per_second=PER_SECOND, timeout_ms=TIMEOUT_MS, most_flying=MOST_FLYING)
        async with asking as traffic:
            await _deploy(settings, traffic, report)
            after = {q: await _titles(requester, settings, q) for q in examples}
            for query in examples:
                table(f"{query!r}", ["pretrained", "trained"], list(zip(before[query], after[query], strict=False)))
            await _refuse_shuffled(settings, traffic, report)
            await _roll_back(settings, traffic, report)
            await _delete(settings, producer, requester, examples, report, limit_s=_bar_s(traffic, 10.0))
        await _judge_traffic(settings, traffic, report)


async def _run(settings: Settings, text: str, **fields: Any) -> tuple[TrainingRun, Decision | None]:
    trigger = Trigger(trigger_id=uuid.uuid4().hex, requested_at=datetime.now(UTC), requested_by="demo", **fields)
    with Stage(text) as stage:
        await send_trigger(settings, trigger)
        run = await wait_for_run(
            settings, trigger.trigger_id, quiet_s=RUN_QUIET_S, on_change=lambda r: stage.say(f"{r.state.value} {r.progress:.0%} {r.detail}")
        )
    return run, next((d for d in await read_decisions(settings) if d.run_id == run.run_id and d.checks), None)


async def _deploy(settings: Settings, traffic: Traffic, report: Report) -> None:
    await asyncio.sleep(PHASE_S)
    traffic.phase = "during"
    run, decision = await _run(settings, f"a training run, while {PER_SECOND:.0f} searches a second flow")
    if decision is not None:
        show_decision(decision)
    report.facts["verdict"] = run.verdict
    report.facts["ndcg10"] = _means(decision)
    report.check(
        run.state is RunState.DEPLOYED,
        f"the trained candidate was deployed ({run.state.value}: {run.error.message if run.error else run.detail})",
    )
    live, _ = await read_releases(settings)
    report.facts["generations"] = [1, live.live.generation if live else None]
    report.check(live is not None and live.live.generation == 2, "generation 2 serves")
    traffic.phase = "after"
    await asyncio.sleep(PHASE_S)


def _means(decision: Decision | None) -> dict[str, dict[str, float]]:
    return {} if decision is None else {s: {k: round(v.mean, 4) for k, v in by.items()} for s, by in decision.ndcg10.items()}


async def _refuse_shuffled(settings: Settings, traffic: Traffic, report: Report) -> None:
    traffic.phase = "shuffled"
    run, _ = await _run(settings, "a candidate trained on shuffled labels", params={"label_shuffle_seed": 1, "max_steps": 20})
    report.facts["bad_candidate_verdict"] = run.verdict
    report.check(run.state is RunState.FAILED_GATE, f"the gate refuses it ({run.state.value})")


async def _roll_back(settings: Settings, traffic: Traffic, report: Report) -> None:
    traffic.phase = "rollback"
    command = DeploymentCommand(command_id=uuid.uuid4().hex, action="rollback", reason="demo", actor="demo", expected_generation=2)
    with Stage("roll back"):
        pointer, why, took = await command_and_wait(settings, command, deadline_s=QUIET_S)
    report.facts["rollback_ms"] = round(took * 1000)
    report.check(pointer is not None and pointer.live.generation == 1, f"rolled back to generation 1 in {took * 1000:.0f} ms ({why})")
    bar = _bar_s(traffic, 1.0)
    report.check(
        took <= bar, "within a second" if bar == 1.0 else f"within {bar:.1f} s, thirty times what a search takes on this busy machine"
    )
    await asyncio.sleep(3)


async def _delete(settings: Settings, producer: Any, requester: Requester, examples: list[str], report: Report, *, limit_s: float) -> None:
    victim = (await _hits(requester, settings, examples[0])).hits[0].product_id
    with Stage("delete a product that is on top of an answer"):
        await producer.send(Outgoing(settings.topic("products"), None, key=victim.encode()))
        started = time.monotonic()
        gone = False
        while not gone and time.monotonic() - started < limit_s:
            gone = all(h.product_id != victim for h in (await _hits(requester, settings, examples[0])).hits)
        took = time.monotonic() - started
    returned = sum([victim in {h.product_id for h in (await _hits(requester, settings, q)).hits} for q in examples])
    report.facts |= {"deleted_returned": returned, "deleted_gone_ms": round(took * 1000)}
    report.check(gone and returned == 0, f"it was gone from the answers after {took * 1000:.0f} ms")


async def _judge_traffic(settings: Settings, traffic: Traffic, report: Report) -> None:
    with Stage("recomputing every score with the model of the generation that the answer names"):
        _, releases = await read_releases(settings)
        catalog = await read_catalog(settings)
        checked, mixed = await asyncio.to_thread(count_mixed, traffic.answers, {r.generation: r for r in releases}, catalog)
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


async def _ready(settings: Settings, servers: Supervisor) -> None:
    """Wait until every process is ready, for as long as products are taken in, indexed, or a process comes up."""
    patience = Patience("the start", "every process to be ready", quiet_s=QUIET_S, advice=ADVICE)
    while True:
        pages = {name: await asyncio.to_thread(read_page, settings, name, "readyz") for name in PROCESSES}
        if all(page.get("ready") for page in pages.values()):
            return
        if refused := servers.refused():
            raise NotReadyError("; ".join(refused.values()))
        told = {name: {k: v for k, v in page.items() if k in _MOVING} for name, page in pages.items()}
        patience.saw(told | {"restarts": {name: servers.restarts(name) for name in PROCESSES}})
        await asyncio.sleep(0.2)


def _bar_s(traffic: Traffic, bar_s: float) -> float:
    """Return the limit of a promise in seconds: longer where a search itself takes long, since the machine is busy then."""
    taken = [a.latency_ms for a in traffic.answers[-200:]]
    return max(bar_s, 30 * bar_s * statistics.median(taken) / 1000) if taken else bar_s


async def _titles(requester: Requester, settings: Settings, query: str) -> list[str]:
    return [str(h.fields.get("title") or h.product_id) for h in (await _hits(requester, settings, query)).hits]
