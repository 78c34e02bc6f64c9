"""Decide whether the live generation is to be rolled back without anybody asking.

Pure, over what the searchers reported. The reasons, in this order: nobody can serve it, errors, empty
answers, latency, clicks. What was measured stands in the sentence. Only searchers that live are heard, and of
the live generation only what was counted since its own pointer. Errors and empty answers are shares per
client, of plain requests: neither filters that match nothing nor one loud client speaks for the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from indexer.click_test import Clicked, dropped, evidence_of_drop
from retrieval.naming import stamp_of
from schemas.releases import (
    CLIENT_BUCKETS,
    LATENCY_BOUNDS_MS,
    LivePointer,
    Promotion,
    Release,
    SearcherReport,
    Served,
)

MIN_ANSWERS = 200
MORE_ERRORS = 0.005
MORE_EMPTY = 0.02
SLOWER = 1.5
SLOWER_BY_MS = 50.0
MIN_TURNS = 15
FEW_CLIENTS = 5
LEAST_CAP = 4.0
GUARDED = frozenset({"promote", "refresh"})
ACTOR = "guard"


@dataclass(frozen=True)
class Limits:
    """Of the settings: how long a promotion is watched, and how sure the click test must be.

    Also how long nobody may report it. ``alive`` is after how long without a report a searcher counts as
    gone.
    """

    window: timedelta
    silence: timedelta
    alpha: float
    alive: timedelta


def watched(pointer: LivePointer | None, now: datetime, limits: Limits) -> bool:
    """Say whether the guard may roll back.

    Something was promoted or refreshed lately, and there is a generation to go back to.
    """
    if pointer is None or pointer.previous is None or pointer.cause not in GUARDED:
        return False
    return now - pointer.at <= limits.window


def judged_promotion(pointer: LivePointer, now: datetime, limits: Limits) -> Promotion | None:
    """Return the promotion whose answers are compared with those of before, or None.

    A refresh takes nothing from it: it is watched for as long as without, against the same generation.
    """
    promotion = pointer.promotion
    return promotion if promotion and now - promotion.at <= limits.window else None


def why_roll_back(
    pointer: LivePointer,
    reports: Iterable[SearcherReport],
    clicks: tuple[Clicked, Clicked],
    *,
    now: datetime,
    since: datetime,
    limits: Limits,
) -> tuple[str, Release] | None:
    """Return why the live generation must go, and which serves then, or None.

    Where nobody can serve it: what was before it. Where its promotion has made answers worse: what was before
    that, with whatever refreshes lie in between. ``clicks`` are of before and after the promotion. ``since``
    is when the guard began to listen: after a restart the silence counts from there.
    """
    if pointer.previous is None:
        return None
    known = list(reports)
    unusable = _unusable(pointer, known, now=now, since=since, limits=limits)
    if unusable:
        return unusable, pointer.previous
    promotion = judged_promotion(pointer, now, limits)
    if promotion is None:
        return None
    alive = _alive(known, now, limits)
    before = summed(alive, stamp_of(promotion.before))
    after = summed(alive, stamp_of(pointer.live), since=promotion.sequence)
    slower = _slower(before, after) if now - promotion.at >= limits.silence else None
    worse = _worse(before, after) or slower or _fewer_clicks(*clicks, alpha=limits.alpha)
    return (worse, promotion.before) if worse else None


def _alive(reports: Iterable[SearcherReport], now: datetime, limits: Limits) -> list[SearcherReport]:
    return [r for r in reports if now - r.at <= limits.alive and (r.generation is not None or r.problem)]


def _unusable(
    pointer: LivePointer,
    known: Sequence[SearcherReport],
    *,
    now: datetime,
    since: datetime,
    limits: Limits,
) -> str | None:
    alive = _alive(known, now, limits)
    refusing = [r for r in alive if r.refused == pointer.live.generation]
    if 2 * len(refusing) > len(alive):
        return (
            f"{len(refusing)} of {len(alive)} searchers refuse it: {min(r.problem or '' for r in refusing)}"
        )
    return _silent(pointer, known, max(pointer.at, since), now, limits)


def summed(reports: Iterable[SearcherReport], generation: int, *, since: int = 0) -> Served:
    """Return what all searchers together answered with a generation and its refreshes, as they count.

    Under pointers from the sequence ``since`` on.
    """
    parts = [s for r in reports for s in r.served if s.generation == generation and s.sequence >= since]

    def added(name: str, width: int) -> list[int]:
        lists = [counts for p in parts if len(counts := getattr(p, name)) == width]
        return [sum(column) for column in zip(*lists, strict=True)] or [0] * width

    return Served(
        generation=generation,
        sequence=since,
        answers=sum(p.answers for p in parts),
        errors=sum(p.errors for p in parts),
        empty=sum(p.empty for p in parts),
        latency_counts=added("latency_counts", len(LATENCY_BOUNDS_MS) + 1),
        plain_by_client=added("plain_by_client", CLIENT_BUCKETS),
        plain_errors_by_client=added("plain_errors_by_client", CLIENT_BUCKETS),
        plain_empty_by_client=added("plain_empty_by_client", CLIENT_BUCKETS),
        turns=[turn for p in parts for turn in p.turns],
    )


def share_of_clients(bad: Sequence[int], asked: Sequence[int]) -> tuple[float, float]:
    """Return the share of bad answers and how many answers it rests on.

    No client counts for more than twice the usual one. With fewer than ``FEW_CLIENTS`` nothing can be said of
    clients, and every answer counts.

    >>> share_of_clients([1000, 0, 0, 0, 0], [1000, 2, 2, 2, 2])
    (0.3333333333333333, 12.0)
    """
    active = [(b, n) for b, n in zip(bad, asked, strict=True) if n > 0]
    if not active:
        return 0.0, 0.0
    cap = max(LEAST_CAP, 2 * median(n for _, n in active)) if len(active) >= FEW_CLIENTS else float("inf")
    weights = [min(float(n), cap) for _, n in active]
    total = sum(weights)
    return sum(w * b / n for w, (b, n) in zip(weights, active, strict=True)) / total, total


def quantile_ms(counts: Sequence[int], share: float) -> float:
    """Return the latency below which ``share`` of the answers lie, linear within a bucket.

    0 for none, the last bound for the rest.
    """
    wanted, passed, low = share * sum(counts), 0.0, 0.0
    for count, high in zip(counts, LATENCY_BOUNDS_MS, strict=False):
        if count and passed + count >= wanted:
            return low + (high - low) * (wanted - passed) / count
        passed, low = passed + count, high
    return LATENCY_BOUNDS_MS[-1] if passed < wanted else 0.0


def _silent(
    pointer: LivePointer, reports: Sequence[SearcherReport], begun: datetime, now: datetime, limits: Limits
) -> str | None:
    """Searchers there were, and none of them, nor a new one, has said that it serves the live generation."""
    if now - begun < limits.silence or any(
        r.generation == pointer.live.generation for r in reports if r.at >= pointer.at
    ):
        return None
    there_were = any(
        r.at >= pointer.at - limits.silence and (r.generation is not None or r.problem) for r in reports
    )
    if not there_were:
        return None
    problems = sorted({r.problem for r in reports if r.problem and r.at >= pointer.at})
    return f"no searcher serves it after {limits.silence.total_seconds():.0f} s" + (
        f": {problems[0]}" if problems else ""
    )


def _worse(before: Served, after: Served) -> str | None:
    errors, answers = share_of_clients(after.plain_errors_by_client, after.plain_by_client)
    errors_before, answers_before = share_of_clients(before.plain_errors_by_client, before.plain_by_client)
    if answers < MIN_ANSWERS:
        return None
    if errors > errors_before + MORE_ERRORS:
        return f"errors {errors:.1%} of {answers:.0f} answers, before {errors_before:.1%}"
    if answers_before < MIN_ANSWERS:
        return None
    empty, _ = share_of_clients(after.plain_empty_by_client, after.plain_by_client)
    empty_before, _ = share_of_clients(before.plain_empty_by_client, before.plain_by_client)
    if empty > empty_before + MORE_EMPTY:
        return f"no hits in {empty:.1%} of {answers:.0f} answers, before {empty_before:.1%}"
    return None


def _slower(before: Served, after: Served) -> str | None:
    """Asked only when a promotion has lasted.

    A busy moment of the machine right after it is not the generation's, nor is a busy hour: it must be slower
    than the one before in turns too, while both bear the same.
    """
    if min(sum(before.latency_counts), sum(after.latency_counts)) < MIN_ANSWERS:
        return None
    slow, slow_before = quantile_ms(after.latency_counts, 0.95), quantile_ms(before.latency_counts, 0.95)
    if not _much_more(slow, slow_before) or len(after.turns) < MIN_TURNS:
        return None
    turn, turn_before = (median(took) for took in zip(*after.turns, strict=True))
    if not _much_more(turn, turn_before):
        return None
    return (
        f"p95 of encoding and search {slow:.0f} ms over {sum(after.latency_counts)} answers, before "
        f"{slow_before:.0f} ms; median of {len(after.turns)} asked in turns {turn:.0f} against "
        f"{turn_before:.0f} ms"
    )


def _much_more(now_ms: float, before_ms: float) -> bool:
    return now_ms > SLOWER * before_ms and now_ms > before_ms + SLOWER_BY_MS


def _fewer_clicks(before: Clicked, after: Clicked, *, alpha: float) -> str | None:
    if not dropped(before, after, alpha=alpha):
        return None
    ratio = evidence_of_drop(before, after)
    shares = (
        f"{after.rate:.1%} of {after.searches} searches are clicked, before {before.rate:.1%} of "
        f"{before.searches}"
    )
    return f"{shares}; likelihood ratio {ratio:.0f}"
