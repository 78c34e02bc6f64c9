"""``runs``, ``releases``, ``status``: what happened, and what serves now. ``pairs`` and ``explain`` have modules of their own."""

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from datetime import datetime
from pathlib import Path

from rich.text import Text

from broker.reading import open_reader
from commands.support.moments import MomentError, moment, runs_at, serving_at
from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_decisions, read_releases, read_runs
from schemas.settings import PROCESS_SETTINGS, Settings, without_password
from schemas.topics import TOPICS, dead_letter_name
from schemas.training import Check, Decision, TrainingRun
from trainer.run.folder import REPORT


def runs(run_id: str | None, *, at: str | None = None, data_dir: Path | None, as_json: bool) -> None:
    """List the runs, or show one; with ``at`` as they stood at a moment."""
    asked = _moment(at)
    settings = find_settings(data_dir)
    found = asyncio.run(read_runs(settings))
    if asked is not None:
        _runs_at(found, asked, as_json=as_json)
        return
    if run_id is not None:
        found = [r for r in found if r.run_id == run_id]
        if not found:
            stop(f"no run {run_id!r}; `searchloop runs` lists them")
    pages = {r.run_id: settings.data_dir.absolute() / "runs" / r.run_id / REPORT for r in found}
    if as_json:
        show_json([r.model_dump(mode="json") | {"report": str(pages[r.run_id]) if pages[r.run_id].is_file() else None} for r in found])
        return
    rows = [(r.run_id, r.state.value, r.verdict, r.pairs, r.generation, r.error.message if r.error else r.detail) for r in found]
    table("training runs", ["run", "state", "verdict", "pairs", "generation", "detail"], rows)
    if run_id is not None and pages[run_id].is_file():
        out.print(f"report: {pages[run_id]}", highlight=False, soft_wrap=True)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else moment(text)
    except MomentError as error:
        stop(str(error), code=2)


def _runs_at(found: list[TrainingRun], at: datetime, *, as_json: bool) -> None:
    then = runs_at(found, at)
    if as_json:
        show_json(
            [{"run_id": run.run_id, "state": state, "verdict": run.verdict if state != "in progress" else None} for run, state in then]
        )
        return
    rows = [(run.run_id, state, run.verdict if state != "in progress" else None, run.pairs) for run, state in then]
    table(f"training runs as of {at.isoformat()}", ["run", "state", "verdict", "pairs"], rows)


def show_moment(at: str, *, data_dir: Path | None, as_json: bool, evidence: bool) -> None:
    """Say which generation served at a moment, who or what promoted it and why; with ``evidence`` the gate's decision too."""
    asked = _moment(at)
    assert asked is not None
    served = serving_at(asyncio.run(read_decisions(find_settings(data_dir))), asked)
    if served is None:
        stop(f"nothing served yet at {asked.isoformat()}")
    if as_json:
        whole = served.evidence.model_dump(mode="json") if served.evidence and evidence else None
        show_json({**served.facts(), **({"decision": whole} if evidence else {})})
        return
    until = f"to {served.until.isoformat()}" if served.until else "until now"
    told = f"generation {served.generation} served at {asked.isoformat()}: from {served.since.isoformat()} {until}"
    out.print(
        f"{told}, by {served.actor}: {served.cause}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if served.evidence is None:
        out.print("no gate judged it: it was the first generation, or one that had served before", highlight=False)
    elif evidence:
        show_decision(served.evidence)
    else:
        out.print(
            f"evidence: {served.evidence.verdict} of run {served.run_id}; `searchloop explain {served.run_id}` tells", highlight=False
        )


def releases(*, at: str | None = None, data_dir: Path | None, as_json: bool) -> None:
    """List the generations and say which one is live, or which one was at a moment."""
    if at is not None:
        show_moment(at, data_dir=data_dir, as_json=as_json, evidence=False)
        return
    live, found = asyncio.run(read_releases(find_settings(data_dir)))
    if as_json:
        show_json({"live": live.model_dump(mode="json") if live else None, "releases": [r.model_dump(mode="json") for r in found]})
        return
    serving = {live.live.generation: "live", **({live.previous.generation: "previous"} if live.previous else {})} if live else {}
    rows = [
        (r.generation, r.state.value, serving.get(r.generation, ""), r.row_count, r.model_sha256[:12], r.run_id, str(r.at)[:19])
        for r in found
    ]
    table("releases", ["generation", "state", "serves", "products at build", "model", "run", "since"], rows)


def status(*, data_dir: Path | None, as_json: bool) -> None:
    """Show processes, live generation, last run and how full the topics are; exit code 1 unless all are ready."""
    settings = find_settings(data_dir)
    facts = asyncio.run(_status(settings))
    if as_json:
        show_json(facts)
    else:
        processes: dict[str, dict[str, object]] = facts["processes"]  # type: ignore[assignment]
        table("processes", ["process", "ready", "detail"], [(n, str(p.pop("ready", False)), json.dumps(p)) for n, p in processes.items()])
        out.print(
            f"Kafka: {facts['kafka']}    Milvus: {facts['milvus']}    topics begin with: {settings.topic_prefix}",
            markup=False,
            highlight=False,
        )
        out.print(f"live generation: {facts['generation']}    last run: {facts['last_run']}    events too late to count: {facts['late']}")
        counts: dict[str, int] = facts["topics"]  # type: ignore[assignment]
        table("topics", ["topic", "records written"], list(counts.items()))
    if not facts["ready"]:
        raise SystemExit(1)


async def _status(settings: Settings) -> dict[str, object]:
    processes = {name: await asyncio.to_thread(read_page, settings, name, "readyz") for name in PROCESS_SETTINGS}
    ready = all(bool(p.get("ready")) for p in processes.values())
    live, _ = await read_releases(settings)
    found = await read_runs(settings)
    names = [t.name for t in TOPICS] + [dead_letter_name(t.name) for t in TOPICS if t.dead_letters]
    async with open_reader(settings.kafka, [settings.topic(n) for n in names], start="end") as reader:
        ends = await reader.end_offsets()
    counts = Counter[str]()
    for (topic, _partition), end in ends.items():
        counts[topic.removeprefix(settings.topic_prefix)] += end
    return {
        "ready": ready,
        "kafka": settings.kafka,
        "milvus": without_password(settings.milvus),
        "processes": processes,
        "generation": live.live.generation if live else None,
        "last_run": {"run_id": found[-1].run_id, "state": found[-1].state.value} if found else None,
        "late": await asyncio.to_thread(read_late, settings),
        "topics": {n: counts[n] for n in names},
    }


def read_late(settings: Settings) -> int | None:
    """Return how many events the stream has found too late since its start, or None when it does not answer."""
    try:
        port = json.loads((settings.data_dir / "run" / "stream.json").read_text())["port"]
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("searchloop_attribute_late_total"))


def read_page(settings: Settings, process: str, page: str) -> dict[str, object]:
    """Return what a process of this data directory says on ``/readyz`` or ``/healthz``; ``ready`` False when it does not answer."""
    announced = settings.data_dir / "run" / f"{process}.json"
    try:
        port = json.loads(announced.read_text())["port"]
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/{page}", timeout=2) as answer:  # fixed scheme
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read() or b"{}"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"process": process, "ready": False, "reason": "does not answer"}


def _delta(check: Check) -> str:
    if check.delta is None:
        return "" if check.candidate_value is None else f"{check.candidate_value:.3f}"
    interval = "" if check.ci_low is None or check.ci_high is None else f" [{check.ci_low:+.3f}, {check.ci_high:+.3f}]"
    return f"{check.delta:+.3f}{interval}"


def show_decision(decision: Decision) -> None:
    """Print the evaluation table, the checks and the verdict of one decision."""
    if decision.ndcg10:
        segments = sorted({s for by in decision.ndcg10.values() for s in by}, key=lambda s: (s != "all", s != "unseen", s))[:4]
        rows = [
            (system, *(f"{by[s].mean:.3f} [{by[s].ci_low:.3f}, {by[s].ci_high:.3f}] n={by[s].n}" if s in by else None for s in segments))
            for system, by in decision.ndcg10.items()
        ]
        table("nDCG@10 over the whole catalogue, with 95 % intervals", ["system", *segments], rows)
    if decision.checks:
        table("gate", ["check", "verdict", "delta", "reason"], [(c.name, c.verdict, _delta(c), c.reason) for c in decision.checks])
    out.print(Text.assemble((decision.verdict, "bold"), f"  {'; '.join(decision.reasons)}"))
