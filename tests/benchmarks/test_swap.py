"""The parts of the swap benchmark that judge: they must see what is wrong, or its zeros say nothing."""

from pathlib import Path
from random import Random

import numpy as np

from benchmarks.deployment.changing_catalogue import PROBES, a_catalogue, differences
from benchmarks.deployment.killing import STEPS, VICTIMS, plan
from benchmarks.deployment.ranked_releases import ranked
from benchmarks.deployment.readers import is_own
from benchmarks.deployment.swapping import REFRESH, TURNS
from retrieval.query_memory import QueryMemory
from schemas.search import ScoredHit, SearchResponse, Status


def rows(catalogue):
    return {i: (p.version, p.title) for i, p in catalogue.products.items()}


def test_a_collection_that_holds_the_catalogue_has_no_differences():
    catalogue = a_catalogue(20)
    assert len(catalogue.products) == 20 + len(PROBES)
    assert differences(catalogue.products, rows(catalogue)) == 0


def test_a_lost_an_old_and_a_surplus_row_are_each_counted():
    catalogue = a_catalogue(20)
    held = rows(catalogue)
    del held["p00003"]
    held["p00004"] = (0, held["p00004"][1])
    held["gone"] = (1, "gone")
    assert differences(catalogue.products, held) == 3


def test_every_probe_has_a_title_of_its_own():
    titles = [p.title for p in a_catalogue(300).products.values()]
    assert len(set(PROBES)) == len(PROBES)
    assert all(titles.count(title) == 1 for title in PROBES)


def test_a_probe_is_first_in_every_memory_and_no_two_memories_are_alike(tmp_path: Path):
    def encode(queries):
        vectors = np.stack([np.random.default_rng(abs(len(q)) + ord(q[0])).normal(size=8) for q in queries])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    rng, digests = Random(1), set()
    for number in range(3):
        ranking = ranked(tmp_path / str(number), "m", encode, 200, rng)
        path, digest = ranking.artefacts["memory"]
        memory = QueryMemory.load(Path(path), sha256=digest)
        said = memory.values(list(PROBES), encode(PROBES))
        assert [max(one, key=lambda i: one[i]) for one in said] == [
            f"probe{n:03d}" for n in range(len(PROBES))
        ]
        digests.add(digest)
    assert len(digests) == 3


def test_an_answer_by_another_models_index_is_seen_whatever_the_other_parts_add():
    def answer(product_id: str, dense: float) -> SearchResponse:
        hit = ScoredHit(product_id=product_id, rank=1, score=3.0, parts={"words": 1.0, "dense": dense})
        return SearchResponse(request_id="r", status=Status.OK, hits=[hit])

    assert is_own(answer("probe001", 1.0), "probe001")
    assert not is_own(answer("probe001", 0.6), "probe001")
    assert not is_own(answer("probe002", 1.0), "probe001")


def test_refreshes_take_their_turns_and_are_killed_at():
    assert TURNS.count(REFRESH) * 2 == len(TURNS)
    steps = {step for step, _ in plan(1, len(STEPS) * len(VICTIMS))}
    assert {"refresh_ordered", "refresh_published", "refresh_served"} < steps == STEPS.keys()
