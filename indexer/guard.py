"""Decide whether the live generation is to be rolled back without anybody asking. Pure, over what the searchers reported.

The reasons, in this order: nobody can serve it, errors, empty answers, latency, clicks. What was measured stands in the sentence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from indexer.click_test import Clicked, dropped, evidence_of_drop
from schemas.releases import LATENCY_BOUNDS_MS, LivePointer, SearcherReport, Served

MIN_ANSWERS = 200
MORE_ERRORS = 0.005
MORE_EMPTY = 0.02
SLOWER = 1.5
SLOWER_BY_MS = 50.0
GUARDED = frozenset({"promote"})
ACTOR = "guard"


@dataclass(frozen=True)
class Limits:
    """Of the settings: how long a promotion is watched, how long nobody may report it, how sure the click test must be."""

    window: timedelta
    silence: timedelta
    alpha: float


def watched(pointer: LivePointer | None, now: datetime, limits: Limits) -> bool:
    """Say whether the guard may roll back: something was promoted lately, and there is a generation to go back to."""
    return pointer is not None and pointer.previous is not None and pointer.cause in GUARDED and now - pointer.at <= limits.window


def why_roll_back(
    pointer: LivePointer,
    reports: Iterable[SearcherReport],
    clicks: tuple[Clicked, Clicked],
    *,
    now: datetime,
    since: datetime,
    limits: Limits,
) -> str | None:
    """Return why the live generation must go, or None. ``clicks`` are of the previous and of the live one.

    ``since`` is when the guard began to listen: after a restart the silence counts from there.
    """
    if pointer.previous is None:
        return None
    known = list(reports)
    refusing = sorted({r.problem or "" for r in known if r.refused == pointer.live.generation and now - r.at <= limits.silence})
    if refusing:
        return f"a searcher refuses it: {refusing[0]}"
    silent = _silent(pointer, known, max(pointer.at, since), now, limits)
    if silent:
        return silent
    before, after = (summed(known, r.generation) for r in (pointer.previous, pointer.live))
    slower = _slower(before, after) if now - pointer.at >= limits.silence else None
    return _worse(before, after) or slower or _fewer_clicks(*clicks, alpha=limits.alpha)


def summed(reports: Iterable[SearcherReport], generation: int) -> Served:
    """Return what all searchers together answered with a generation."""
    parts = [s for r in reports for s in r.served if s.generation == generation]
    width = len(LATENCY_BOUNDS_MS) + 1
    counts = [sum(p.latency_counts[i] for p in parts if len(p.latency_counts) == width) for i in range(width)]
    return Served(
        generation=generation,
        answers=sum(p.answers for p in parts),
        errors=sum(p.errors for p in parts),
        empty=sum(p.empty for p in parts),
        latency_counts=counts,
    )


def quantile_ms(counts: Sequence[int], share: float) -> float:
    """Return the latency below which ``share`` of the answers lie, linear within a bucket; 0 for none, the last bound for the rest."""
    wanted, passed, low = share * sum(counts), 0.0, 0.0
    for count, high in zip(counts, LATENCY_BOUNDS_MS, strict=False):
        if count and passed + count >= wanted:
            return low + (high - low) * (wanted - passed) / count
        passed, low = passed + count, high
    return LATENCY_BOUNDS_MS[-1] if passed < wanted else 0.0


def _silent(pointer: LivePointer, reports: Sequence[SearcherReport], begun: datetime, now: datetime, limits: Limits) -> str | None:
    """Searchers there were, and none of them, nor a new one, has said that it serves the live generation."""
    if now - begun < limits.silence or any(r.generation == pointer.live.generation for r in reports if r.at >= pointer.at):
        return None
    there_were = any(r.at >= pointer.at - limits.silence and (r.generation is not None or r.problem) for r in reports)
    if not there_were:
        return None
    problems = sorted({r.problem for r in reports if r.problem and r.at >= pointer.at})
    return f"no searcher serves it after {limits.silence.total_seconds():.0f} s" + (f": {problems[0]}" if problems else "")


def _worse(before: Served, after: Served) -> str | None:
    if after.answers < MIN_ANSWERS:
        return None
    errors, errors_before = _share(after.errors, after.answers), _share(before.errors, before.answers)
    if errors > errors_before + MORE_ERRORS:
        return f"errors {errors:.1%} of {after.answers} answers, before {errors_before:.1%}"
    if before.answers < MIN_ANSWERS:
        return None
    empty, empty_before = _share(after.empty, after.answers), _share(before.empty, before.answers)
    if empty > empty_before + MORE_EMPTY:
        return f"no hits in {empty:.1%} of {after.answers} answers, before {empty_before:.1%}"
    return None


def _slower(before: Served, after: Served) -> str | None:
    """Asked only when a promotion has lasted: a busy moment of the machine right after it is not the generation's."""
    if min(before.answers, after.answers) < MIN_ANSWERS:
        return None
    slow, slow_before = quantile_ms(after.latency_counts, 0.95), quantile_ms(before.latency_counts, 0.95)
    if slow > SLOWER * slow_before and slow > slow_before + SLOWER_BY_MS:
        return f"p95 of encoding and search {slow:.0f} ms over {after.answers} answers, before {slow_before:.0f} ms"
    return None


def _fewer_clicks(before: Clicked, after: Clicked, *, alpha: float) -> str | None:
    if not dropped(before, after, alpha=alpha):
        return None
    ratio = evidence_of_drop(before, after)
    shares = f"{after.rate:.1%} of {after.searches} searches are clicked, before {before.rate:.1%} of {before.searches}"
    return f"{shares}; likelihood ratio {ratio:.0f}"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
