"""The loop at a glance: each of its steps, and what a person should look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.console.gauges import TopicGauges
from api.operator_state import OperatorState
from operations.moments import history
from operations.release_words import kind_in_words
from schemas.releases import SearcherReport
from schemas.topics import (
    INTERACTIONS,
    PAIRS,
    PRODUCTS,
    RAW,
    SEARCH_RESPONSES,
    SEARCHES,
    dead_letter_name,
)
from schemas.training import RunState, TrainingRun

# Reports come every few seconds; a searcher that is silent for longer has ended without a word.
_SILENT = timedelta(seconds=60)
_BEHIND = 10_000
# An age that no shop has, and every ``timedelta`` holds.
_OLDEST_S = 1000 * 365 * 86_400.0


@dataclass(frozen=True)
class LoopStep:
    """A step of the loop: one figure, and what else is to be said."""

    name: str
    figure: str
    unit: str
    detail: str
    address: str | None = None


@dataclass(frozen=True)
class Alarm:
    """What a person should look at, and where."""

    text: str
    address: str
    bad: bool = False


def serving_since(state: OperatorState) -> datetime | None:
    """Return since when the live generation serves, a rollback counted; None where nothing does.

    Its decision may not be read yet: then it is the last change of the pointer.
    """
    pointer = state.releases.pointer
    if pointer is None:
        return None
    newest = next(iter(history(list(state.history)[::-1])[::-1]), None)
    return newest.since if newest and newest.generation == pointer.live.generation else pointer.at


def stages(state: OperatorState, gauges: TopicGauges, now: datetime) -> list[LoopStep]:
    """Return the steps from what shops send to what is answered."""
    pointer, run, alive = state.releases.pointer, last_run(state), searchers(state, now)
    ready = sum(report.ready for report in alive)
    slowest = max((r.recent_p95_ms for r in alive if r.recent_p95_ms is not None), default=None)
    refused = [gauges.per_s(dead_letter_name(topic.name)) for topic in RAW if topic.dead_letters]
    refusals = None if None in refused else sum(rate or 0.0 for rate in refused)
    live = pointer.live if pointer else None
    return [
        LoopStep(
            "Shop", _rate(gauges.per_s(INTERACTIONS.name)), "interactions/s",
            f"{_rate(gauges.per_s(SEARCHES.name))} searches/s, "
            f"{_rate(gauges.per_s(PRODUCTS.name))} products/s",
        ),
        LoopStep("Intake", _count(gauges.behind("intake")), "records behind", f"{_rate(refusals)} refused/s"),
        LoopStep("Attribute", _count(gauges.behind("attribute")), "batches behind", "which search earned it"),
        LoopStep(
            "Count", _count(gauges.behind("count")), "batches behind",
            f"{_rate(gauges.per_s(PAIRS.name))} pairs changed/s",
        ),
        LoopStep(
            "Train", run.state.value.replace("_", " ") if run else "no run yet",
            f"{run.progress:.0%}" if run and not run.state.terminal else "",
            (run.detail[:60] or run.verdict or "") if run else "",
            f"/console/runs/{run.run_id}" if run else "/console/runs",
        ),
        LoopStep(
            "Index", str(live.generation) if live else "none", "serves",
            f"{live.row_count:,} products at its build" if live else "nothing is indexed",
            "/console/releases",
        ),
        LoopStep(
            "Search", _rate(gauges.per_s(SEARCH_RESPONSES.name)), "answers/s",
            f"{ready} of {len(alive)} searchers ready"
            + (f", p95 {slowest:.0f} ms" if slowest is not None else ""),
            "/console/search",
        ),
    ]  # fmt: skip


def alarms(state: OperatorState, gauges: TopicGauges, now: datetime) -> list[Alarm]:
    """Return what a person should look at, the worst first."""
    return sorted(_alarms(state, gauges, now), key=lambda alarm: not alarm.bad)


def _alarms(state: OperatorState, gauges: TopicGauges, now: datetime) -> Iterator[Alarm]:
    pointer, run, alive = state.releases.pointer, last_run(state), searchers(state, now)
    if pointer is None:
        yield Alarm("Nothing serves yet: no generation is published.", "/console/releases", bad=True)
    elif not any(report.ready for report in alive):
        yield Alarm("No searcher is ready: searches are not answered.", "/console", bad=True)
    for report in alive:
        if report.problem:
            yield Alarm(f"Searcher {report.searcher_id}: {report.problem}", "/console/releases", bad=True)
    if pointer is not None and pointer.pinned:
        yield Alarm("What serves is pinned: no promotion changes it.", "/console/releases")
    if pointer is not None and pointer.paused:
        yield Alarm("Promotions are paused.", "/console/releases")
    if run is not None and run.state in {RunState.FAILED, RunState.FAILED_GATE}:
        told = run.error.message if run.error else run.detail
        yield Alarm(f"The last run ended as {run.state.value.replace('_', ' ')}: {told}",
                    f"/console/runs/{run.run_id}")  # fmt: skip
    for step in ("intake", "attribute", "count"):
        behind = gauges.behind(step)
        if behind is not None and behind > _BEHIND:
            yield Alarm(f"The step {step} is {behind:,} records behind.", "/console")


def last_run(state: OperatorState) -> TrainingRun | None:
    """Return the newest training run; None before the first."""
    return max((run for run in state.runs if run.kind == "full"), key=lambda run: run.run_id, default=None)


def freshest(state: OperatorState) -> tuple[TrainingRun, timedelta] | None:
    """Return the newest run that was deployed, and how old its newest event was when it began to serve."""
    ages = ((run, run.metrics.get("event_to_effect_s")) for run in state.runs)
    told = [(run, age) for run, age in ages if age is not None and abs(age) <= _OLDEST_S]
    run, age = max(told, key=lambda one: one[0].run_id, default=(None, 0.0))
    return None if run is None else (run, timedelta(seconds=age))


def searchers(state: OperatorState, now: datetime) -> list[SearcherReport]:
    """Return the last report of every searcher that is heard of."""
    return [report for report in state.searchers if now - report.at < _SILENT]


def kind_of(state: OperatorState) -> str:
    """Return what kind of generation serves, in words."""
    pointer = state.releases.pointer
    if pointer is None:
        return ""
    return kind_in_words(pointer.live)


def _rate(value: float | None) -> str:
    return "…" if value is None else f"{value:,.1f}"


def _count(value: int | None) -> str:
    return "…" if value is None else f"{value:,}"
