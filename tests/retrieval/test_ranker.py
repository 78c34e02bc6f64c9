"""A ranker says of a product what its parts say, whoever else competes, and never more than its bound."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.mapped_arrays import ArtefactError
from retrieval.ranker import Networks, Ranker, copy_ranker, read_by, write_ranker
from retrieval.ranking import Parts, contest, rank
from schemas.releases import Ranking
from tests.retrieval.random_networks import random_networks

SUM = Ranking(coefficients={"dense": 1.0, "words": 0.5})
NAMES = read_by(SUM)
NOTHING = np.zeros(2, dtype=np.float32)


def ranked_by(folder: Path, networks: Networks | None = None, *, coefficient: float = 0.3) -> Ranking:
    """Return the sum and a ranker."""
    digest = write_ranker(folder, networks or random_networks(len(NAMES)), NAMES)
    return SUM.model_copy(
        update={
            "coefficients": {**SUM.coefficients, "ranker": coefficient},
            "artefacts": {"ranker": (str(folder), digest)},
        }
    )


def test_it_reads_the_cosine_and_what_the_ranking_weighs_but_not_itself():
    assert NAMES == ["dense", "words"]
    assert read_by(Ranking(coefficients={"dense": 1.0, "ranker": 1.0, "words": 0.0})) == ["dense"]


@given(
    values=st.dictionaries(
        st.text(min_size=1, max_size=3), st.tuples(st.floats(-1, 1), st.floats(-1e9, 1e9)), min_size=1
    )
)
def test_a_value_is_bounded_and_does_not_depend_on_who_else_competes(values):
    ranker = Ranker(random_networks(2), NAMES)

    def judged(ids: list[str]) -> dict[str, float]:
        parts = {"dense": {i: values[i][0] for i in ids}, "words": {i: values[i][1] for i in ids}}
        return ranker.judge(parts)

    together = judged(list(values))
    assert together.keys() == values.keys()
    assert all(-1 <= value <= 1 for value in together.values())
    for product_id in values:
        assert judged([product_id])[product_id] == pytest.approx(together[product_id], abs=1e-9)
    assert ranker.judge({"dense": {}, "words": {}}) == {}


class Words:
    """A source that knows one product."""

    def ask(self, query: str, vector: object) -> "Words":
        return self

    def best(self, k: int, filters: object = ()) -> dict[str, float]:
        return {"b": 1.0}

    def values(self, product_ids: object) -> dict[str, float]:
        return {}


def test_a_contest_gives_its_value_of_every_candidate_and_it_moves_a_score_by_its_coefficient_at_most(
    tmp_path,
):
    ranking = ranked_by(tmp_path / "ranker")
    ranker = Ranker.load(ranking)
    found = contest("q", NOTHING, {"a": 0.4, "gone": 0.3}, {"words": Words(), "ranker": ranker}, ranking)
    parts = found.complete(lambda ids: {"b": 0.1})
    assert parts["ranker"].keys() == {"a", "b", "gone"}
    assert parts["ranker"] == ranker.judge({name: parts[name] for name in NAMES})
    summed, scores = dict(rank(parts, SUM, 3)), dict(rank(parts, ranking, 3))
    for product_id, score in scores.items():
        moved = score - summed[product_id]
        assert moved == pytest.approx(0.3 * parts["ranker"][product_id])
        assert abs(moved) <= 0.3
    off = ranking.model_copy(update={"coefficients": {**ranking.coefficients, "ranker": 0.0}})
    without: Parts = contest("q", NOTHING, {"a": 0.4}, {"words": Words()}, off).complete(lambda ids: {})
    assert "ranker" not in without  # nobody is asked for it


def test_a_ranker_of_other_parts_does_not_load(tmp_path):
    ranking = ranked_by(tmp_path / "ranker")
    more = ranking.model_copy(update={"coefficients": {**ranking.coefficients, "memory": 1.0}})
    with pytest.raises(ArtefactError, match="reads other features than dense, memory, words"):
        Ranker.load(more)


def test_a_ranker_of_another_version_of_the_features_does_not_load(tmp_path, monkeypatch):
    ranking = ranked_by(tmp_path / "ranker")
    monkeypatch.setattr("retrieval.ranker.FEATURES", 2)
    with pytest.raises(ArtefactError, match="other features"):
        Ranker.load(ranking)


@pytest.mark.parametrize(
    "change",
    [
        {"last": np.full((2, 3), np.nan)},
        {"scales": np.zeros(2)},
        {"first": np.zeros((2, 7, 5))},
        {"second": np.zeros(3)},
        {"means": np.array("text")},
        {"last": np.zeros((0, 3)), "first": np.zeros((0, 2, 5))},
    ],
)
def test_arrays_that_are_no_ranker_do_not_load(tmp_path, change):
    ranking = ranked_by(tmp_path / "ranker", replace(random_networks(2), **change))
    with pytest.raises(ArtefactError):
        Ranker.load(ranking)


def test_what_is_missing_damaged_or_another_does_not_load(tmp_path):
    ranking = ranked_by(tmp_path / "ranker")
    other = ranked_by(tmp_path / "other", random_networks(2, seed=2))
    swapped = ranking.model_copy(
        update={"artefacts": {"ranker": (ranking.artefacts["ranker"][0], other.artefacts["ranker"][1])}}
    )
    for wrong in (swapped, ranking.model_copy(update={"artefacts": {}})):
        with pytest.raises(ArtefactError):
            Ranker.load(wrong)
    manifest = tmp_path / "ranker" / "manifest.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"facts": {}}))
    with pytest.raises(ArtefactError, match="digest"):
        Ranker.load(ranking)


def test_a_copy_is_the_same_ranker_and_outlives_the_first(tmp_path):
    ranking = ranked_by(tmp_path / "ranker")
    copied = copy_ranker(ranking, tmp_path / "copy")
    shutil.rmtree(tmp_path / "ranker")
    assert copied.artefacts["ranker"] == (str(tmp_path / "copy"), ranking.artefacts["ranker"][1])
    Ranker.load(copied)
    with pytest.raises(ArtefactError):
        copy_ranker(ranking, tmp_path / "again")
    assert copy_ranker(SUM, tmp_path / "none") == SUM
