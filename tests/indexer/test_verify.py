from dataclasses import replace

import numpy as np
import pytest

from indexer.build import ROUNDS, again_if_slower
from indexer.verify import Evidence, failures, id_set_sha256, verify

N, DIM = 40, 16


def evidence(seed: int = 1) -> Evidence:
    vectors = np.random.default_rng(seed).normal(size=(N, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"p{i:02d}" for i in range(N)]
    probes = [3, 17, 31]
    exact = vectors[probes] @ vectors.T
    answers = [[(ids[i], float(row[i])) for i in np.argsort(-row)[:10]] for row in exact]
    return Evidence(
        expected_ids=frozenset(ids),
        count=N,
        ids=ids,
        vectors=vectors,
        generations=[2] * N,
        probe_ids=[ids[i] for i in probes],
        probe_vectors=vectors[probes],
        answers=answers,
    )


def failed(e: Evidence) -> list[str]:
    return [
        reason.split(":")[0]
        for reason in failures(verify(e, generation=2, dim=DIM, min_recall=0.95, max_latency_ratio=1.5))
    ]


def test_a_collection_that_is_right_passes_every_check() -> None:
    assert failed(evidence()) == []
    assert len(verify(evidence(), generation=2, dim=DIM, min_recall=0.95, max_latency_ratio=1.5)) == 9


def test_an_empty_collection_fails() -> None:
    none = np.zeros((0, DIM), dtype=np.float32)
    empty = Evidence(frozenset(), 0, [], none, [], [], none, [])
    assert failed(empty) == ["not_empty"]


def test_a_missing_an_extra_and_a_doubled_row_fail() -> None:
    e = evidence()
    assert failed(replace(e, expected_ids=e.expected_ids | {"new"})) == ["row_count", "id_set"]
    assert failed(replace(e, expected_ids=(e.expected_ids - {"p01"}) | {"px"})) == ["id_set"]
    twice = replace(
        e,
        ids=[*e.ids, "p00"],
        vectors=np.vstack([e.vectors, e.vectors[:1]]),
        generations=[2] * (N + 1),
        count=N + 1,
    )
    assert failed(twice) == ["row_count", "id_set"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 7.0])
def test_a_vector_that_is_not_finite_or_not_of_length_one_fails(bad: float) -> None:
    e = evidence()
    vectors = e.vectors.copy()
    vectors[5, 0] = bad
    assert failed(replace(e, vectors=vectors)) == ["unit_vectors"]
    assert failed(replace(e, vectors=e.vectors[:, :8])) == ["unit_vectors"]


def test_a_row_of_another_generation_fails() -> None:
    e = evidence()
    assert failed(replace(e, generations=[2] * (N - 1) + [1])) == ["stamp"]


def test_vectors_of_another_model_fail() -> None:
    e = evidence()
    assert "same_model" in failed(replace(e, probe_vectors=evidence(seed=9).probe_vectors))


def test_an_index_that_misses_neighbours_fails_the_recall() -> None:
    e = evidence()
    worse = [[*answer[:8], ("p00", 0.0), ("p01", 0.0)] for answer in e.answers]
    assert failed(replace(e, answers=worse)) == ["recall"]


def test_a_product_that_does_not_find_itself_fails_but_a_tie_does_not() -> None:
    e = evidence()
    lost = [answer[1:] for answer in e.answers]
    assert "self_retrieval" in failed(replace(e, answers=lost))
    vectors = e.vectors.copy()
    vectors[4] = vectors[3]  # p04 has the text of p03: either may come first
    tie = [("p04", 1.0), ("p03", 1.0), *e.answers[0][1:9]]
    assert failed(replace(e, vectors=vectors, answers=[tie, *e.answers[1:]])) == []


def test_a_generation_that_is_slower_than_the_live_one_in_turns_fails() -> None:
    e = evidence()
    assert failed(replace(e, latencies_ms=[(14.0, 10.0)] * 9)) == []
    assert failed(replace(e, latencies_ms=[(16.0, 10.0)] * 9)) == ["latency"]
    assert failed(replace(e, latencies_ms=[(12.0, 10.0)] * 9 + [(500.0, 10.0)])) == [], (
        "one slow query is the machine's"
    )
    assert failed(replace(e, latencies_ms=[(0.9, 0.5)] * 9)) == []


def test_the_hash_of_an_id_set_does_not_depend_on_its_order() -> None:
    assert id_set_sha256(["b", "a"]) == id_set_sha256(["a", "b"]) != id_set_sha256(["a"])


SLOW, FAIR = [(30.0, 10.0)] * 9, [(11.0, 10.0)] * 9


@pytest.mark.parametrize(
    ("rounds", "judged", "asked"),
    [
        ([[]], [], 1),
        ([FAIR], FAIR, 1),
        ([SLOW, FAIR], FAIR, 2),
        ([SLOW, SLOW, FAIR], FAIR, 3),
        ([SLOW] * 4, SLOW, ROUNDS),
    ],
)
async def test_what_seems_slow_is_asked_again_and_what_is_slow_stays_so(
    rounds: list[list[tuple[float, float]]], judged: list[tuple[float, float]], asked: int
) -> None:
    left = list(rounds)

    async def measure() -> list[tuple[float, float]]:
        return left.pop(0)

    assert await again_if_slower(measure, 1.5, rest_s=0.0) == judged
    assert len(rounds) - len(left) == asked
