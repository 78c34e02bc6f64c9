"""A run's folder as the trainer leaves it, whose models are rankings that are made up.

For the tests of what reads it.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from retrieval.model_folder import fingerprint
from schemas.releases import LivePointer, Release, ReleaseState
from schemas.settings import TrainerSettings
from schemas.training import Decision
from tests.trainer.builders import a_shop
from trainer.data.snapshot import Manifest
from trainer.dataset import prepare
from trainer.evaluation.artefact import Artefact
from trainer.evaluation.files import Evaluation, EvaluationFacts
from trainer.evaluation.ranking_metrics import RANKING_METRICS, best_in_top
from trainer.evaluation.segments import describe, gains_of
from trainer.gate.case import Case
from trainer.gate.decision import build_decision
from trainer.gate.past import Past
from trainer.run.folder import RunFolder
from trainer.run.request import Request

SOUND = Artefact(
    finite=True, dim=4, norm_error=0.0, parity=1.0, mean_cosine=0.1, effective_rank=3.0, form="f"
)
GOOD = {
    "candidate": 0.95,
    "live": 0.5,
    "best": 0.5,
    "base": 0.5,
    "base_dense": 0.5,
    "bm25": 0.4,
    "popularity": 0.1,
}
AT = datetime(2026, 3, 1, tzinfo=UTC)


def a_run(path: Path, *, good: dict[str, float] | None = None, **settings: object) -> Decision:
    """Write a whole run whose systems put relevant products first with the probabilities ``good``.

    Return its decision, as it was made.
    """
    path.mkdir(parents=True)
    shop, run = a_shop(), RunFolder(path)
    small = {
        "min_eval_queries": 10,
        "min_train_pairs": 1,
        "gate_min_clients": 1,
        "gate_min_pairs": 1,
        "gate_resamples": 500,
        "test_days": 3,
    }
    # Made-up rankings show everything
    small |= {"gate_max_gini_rise": 1.0, "gate_min_coverage": 0.0, "gate_min_new_exposure": 0.0}
    request = Request(
        run_id=path.name,
        trigger_ids=["t"],
        settings=TrainerSettings(weight_click=1.0, **{**small, **settings}),
    )
    run.commit("request", request)
    files = shop.write(run.fresh("snapshot"))
    live = Release(
        generation=1, model="m", model_sha256="0", dim=4, collection="c", state=ReleaseState.RELEASED
    )
    manifest = Manifest(
        offsets={}, pairs=1, queries=1, products=1, rows=1, unreadable=0, files=files, settings_sha256="s",
        sha256="whole", live=LivePointer(sequence=1, live=live, cause="first"), received=100, refused=1,
    )  # fmt: skip
    run.commit("snapshot", manifest)
    run.commit("split", prepare(request, shop, path / "none", run.fresh("split")))
    run.commit("past", Past(best=1, model="m", level=0.0, tries=2))
    (path / "model").mkdir()
    (path / "model" / "modules.json").write_text("[]")
    (path / "model" / "a.safetensors").write_bytes(b"weights")
    weighted = pl.read_parquet(path / "split" / "weighted.parquet")
    queries = describe(pl.read_parquet(path / "split" / "qrels.parquet"), weighted)
    rng, parts, ids = np.random.default_rng(1), [], shop.catalog["product_id"].to_list()
    for system, share in (good or GOOD).items():
        tops = []
        for relevant in queries["relevant"].to_list():
            others = [ids[i] for i in rng.permutation(len(ids)) if ids[i] not in relevant]
            tops.append(
                [*relevant, *others][:10]
                if rng.random() < share
                else [*others[:7], *relevant, *others[7:]][:10]
            )
        parts.append(_scored(system, tops, queries))
    found = fingerprint(path / "model")
    facts = EvaluationFacts(
        queries=queries.height,
        fingerprints={"candidate": found},
        artefacts=dict.fromkeys(("candidate", "live", "base"), SOUND),
    )
    Evaluation(queries, pl.concat(parts), facts).write(run.fresh("evaluation"), [])
    return build_decision(Case.read(path), at=AT)


def _scored(system: str, tops: list[list[str]], queries: pl.DataFrame) -> pl.DataFrame:
    rows = list(zip(tops, gains_of(queries), strict=True))
    return pl.DataFrame(
        {
            "system": [system] * len(tops),
            "query": queries["query"],
            **{m.name: [m.of(t, g) for t, g in rows] for m in RANKING_METRICS},
            "best_in_10": [best_in_top(t, g) for t, g in rows],
            "top": tops,
        }
    )
