"""Decide whether a freshly built collection is what the catalogue and the model say.

Pure, over what the store returned. A check that fails keeps the generation from being published; the reasons
go into the decision.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.training import Check

TOP = 10
TIE = 1e-4
UNIT = 1e-3
SAME_VECTOR = 0.999
LATENCY_GRACE_MS = 0.5
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """What was asked of the store, and its answers.

    ``vectors`` is (n, dim), row i of ``ids[i]`` with the stamp ``generations[i]``. ``count`` is the store's
    own count. ``probe_vectors`` is (p, dim): the documents of ``probe_ids``, encoded anew; ``answers[j]`` are
    the hits of probe j, best first. ``latencies_ms`` are of the same queries to this and to the live
    generation, in turns; empty where nothing is live.
    """

    expected_ids: frozenset[str]
    count: int
    ids: Sequence[str]
    vectors: Vectors
    generations: Sequence[int]
    probe_ids: Sequence[str]
    probe_vectors: Vectors
    answers: Sequence[Sequence[tuple[str, float]]]
    latencies_ms: Sequence[tuple[float, float]] = ()


def id_set_sha256(ids: Iterable[str]) -> str:
    """Return the sha256 of the sorted ids joined by newlines."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def verify(
    evidence: Evidence, *, generation: int, dim: int, min_recall: float, max_latency_ratio: float
) -> list[Check]:
    """Return every check with its verdict, pass or fail. An empty collection fails."""
    e = evidence
    checks = [
        _check("not_empty", e.count > 0, f"{e.count} rows", value=e.count, n=e.count),
        _check(
            "row_count",
            e.count == len(e.expected_ids),
            f"{e.count} rows, {len(e.expected_ids)} products",
            value=e.count,
            n=e.count,
        ),
        _id_set(e),
        _unit_vectors(e, dim),
        _stamp(e, generation),
    ]
    if all(c.verdict == "pass" for c in checks):
        checks += [_same_model(e), _recall(e, min_recall), _self_retrieval(e), _latency(e, max_latency_ratio)]
    return checks


def failures(checks: Iterable[Check]) -> list[str]:
    """Return the reasons of the checks that failed, as ``name: reason``."""
    return [f"{c.name}: {c.reason}" for c in checks if c.verdict != "pass"]


def _check(
    name: str,
    passed: bool,
    reason: str,
    *,
    value: float | None = None,
    threshold: float | None = None,
    n: int | None = None,
) -> Check:
    return Check(
        name=name,
        verdict="pass" if passed else "fail",
        reason=reason,
        candidate_value=value,
        threshold=threshold,
        n=n,
    )


def _id_set(e: Evidence) -> Check:
    found = set(e.ids)
    missing, extra = sorted(e.expected_ids - found), sorted(found - e.expected_ids)
    twice = len(e.ids) - len(found)
    good = not twice and id_set_sha256(e.ids) == id_set_sha256(e.expected_ids)
    reason = f"missing {len(missing)} {missing[:3]}, extra {len(extra)} {extra[:3]}, twice {twice}"
    return _check("id_set", good, "as the catalogue" if good else reason, n=len(e.ids))


def _unit_vectors(e: Evidence, dim: int) -> Check:
    if e.vectors.shape != (len(e.ids), dim):
        return _check(
            "unit_vectors",
            passed=False,
            reason=f"vectors have shape {e.vectors.shape}, expected ({len(e.ids)}, {dim})",
        )
    finite = np.asarray(np.isfinite(e.vectors).all(axis=1))
    lengths = np.linalg.norm(np.where(finite[:, None], e.vectors, 0.0), axis=1)
    bad: npt.NDArray[np.int64] = np.flatnonzero(np.logical_or(~finite, np.abs(lengths - 1.0) > UNIT))
    reason = (
        f"{len(bad)} vectors are not finite or not of length 1, first {e.ids[bad[0]]!r}"
        if len(bad)
        else "finite, of length 1"
    )
    return _check("unit_vectors", not len(bad), reason, n=len(e.ids))


def _stamp(e: Evidence, generation: int) -> Check:
    foreign = sorted({g for g in e.generations if g != generation})
    reason = (
        f"rows stamped with generation {foreign[:3]}"
        if foreign
        else f"every row is of generation {generation}"
    )
    return _check("stamp", not foreign, reason, n=len(e.generations))


def _same_model(e: Evidence) -> Check:
    """Whether stored vectors are those of this model: catches vectors taken over from another one."""
    rows = _probe_rows(e)
    cosine = np.einsum("pd,pd->p", e.vectors[rows], e.probe_vectors)
    worst = float(cosine.min(initial=1.0))
    return _check(
        "same_model",
        worst >= SAME_VECTOR,
        f"least cosine to the model's own vector {worst:.4f}",
        value=worst,
        threshold=SAME_VECTOR,
        n=len(rows),
    )


def _recall(e: Evidence, min_recall: float) -> Check:
    k = min(TOP, len(e.ids))
    exact = e.probe_vectors @ e.vectors.T
    position = {product_id: i for i, product_id in enumerate(e.ids)}
    shares = []
    for scores, answer in zip(exact, e.answers, strict=True):
        least = float(np.partition(scores, -k)[-k])  # k-th best; equal scores count as found
        found = {i for i, _ in answer[:k] if i in position and scores[position[i]] >= least - TIE}
        shares.append(len(found) / k)
    recall = float(np.mean(shares)) if shares else 0.0
    return _check(
        "recall",
        recall >= min_recall,
        f"recall@{k} {recall:.3f} against exact search",
        value=recall,
        threshold=min_recall,
        n=len(shares),
    )


def _self_retrieval(e: Evidence) -> Check:
    own = np.einsum("pd,pd->p", e.vectors[_probe_rows(e)], e.probe_vectors)
    lost = []
    for product_id, score, answer in zip(e.probe_ids, own, e.answers, strict=True):
        first = answer[0] if answer else ("", -1.0)
        if first[0] != product_id and abs(first[1] - float(score)) > TIE:
            lost.append(product_id)
    reason = (
        f"{len(lost)} products do not find themselves, first {lost[0]!r}"
        if lost
        else "every probe finds itself"
    )
    return _check("self_retrieval", not lost, reason, n=len(e.probe_ids))


def slower(latencies_ms: Sequence[tuple[float, float]], max_ratio: float) -> bool:
    """Say whether the first of each pair is too slow beside the second; no pairs say nothing.

    By the medians: on a machine that also serves, the tail of a few dozen queries says more about the others
    than about this index.
    """
    if not latencies_ms:
        return False
    new, live = np.median(np.asarray(latencies_ms), axis=0)
    return bool(new > max_ratio * live + LATENCY_GRACE_MS)


def _latency(e: Evidence, max_ratio: float) -> Check:
    if not e.latencies_ms:
        return _check("latency", passed=True, reason="nothing is live to compare with")
    new, live = np.percentile(np.asarray(e.latencies_ms), [50, 95], axis=0).T
    reason = f"p50 {new[0]:.1f} ms, live {live[0]:.1f}; p95 {new[1]:.1f}, live {live[1]:.1f}"
    ratio = float(new[0] / live[0]) if live[0] else 0.0
    passed = not slower(e.latencies_ms, max_ratio)
    return _check(
        "latency", passed, reason, value=round(ratio, 3), threshold=max_ratio, n=len(e.latencies_ms)
    )


def _probe_rows(e: Evidence) -> list[int]:
    position = {product_id: i for i, product_id in enumerate(e.ids)}
    return [position[i] for i in e.probe_ids]
