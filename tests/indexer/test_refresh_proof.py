from pathlib import Path

import numpy as np
import pytest

from indexer.refresh_proof import gone, prove
from indexer.verify import failures
from retrieval.query_memory import Taken, write_memory
from schemas.releases import Ranking, Release, ReleaseState
from tests.releases import a_release

VECTORS = np.eye(2, 4, dtype=np.float32)
PROBES = ["boots", "lamp"]


@pytest.fixture
def refresh(tmp_path: Path) -> Release:
    pairs = [Taken("boots", "p1", 3.0), Taken("lamp", "p2", 1.0)]
    digest = write_memory(tmp_path / "memory", pairs, PROBES, VECTORS, model_sha256="sha1")
    ranking = Ranking(
        coefficients={"dense": 1.0, "memory": 0.5},
        artefacts={"memory": (str(tmp_path / "memory"), digest)},
        language="english",
    )
    state = ReleaseState.BUILDING
    return a_release(2, state, kind="refresh", collection="p_g000001", model_sha256="sha1", ranking=ranking)


def reasons(refresh: Release, **ranking: object) -> list[str]:
    changed = refresh.model_copy(update={"ranking": refresh.ranking.model_copy(update=ranking)})
    return failures(prove(changed, PROBES, VECTORS))


def test_an_artefact_that_is_whole_and_of_the_live_model_is_proven(refresh: Release) -> None:
    assert reasons(refresh) == []
    assert gone(refresh.ranking) is None


def test_what_is_damaged_missing_or_of_another_model_is_not(refresh: Release, tmp_path: Path) -> None:
    assert "memory_model: of another model" in reasons(refresh.model_copy(update={"model_sha256": "sha2"}))
    assert "nobody can compute charm" in reasons(refresh, coefficients={"dense": 1.0, "charm": 1.0})[0]
    path = str(tmp_path / "memory")
    assert "memory_loads" in reasons(refresh, artefacts={"memory": (path, "0" * 64)})[0]
    lost = {"memory": (path + "-away", refresh.ranking.artefacts["memory"][1])}
    assert "memory_loads" in reasons(refresh, artefacts=lost)[0]
    assert "its memory is gone" in (gone(refresh.ranking.model_copy(update={"artefacts": lost})) or "")


def test_a_ranking_without_artefacts_needs_none(refresh: Release) -> None:
    assert reasons(refresh, coefficients={"dense": 1.0, "words": 0.1}, artefacts={}) == []
