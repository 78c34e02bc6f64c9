"""Weighted, unweighted and repeated pairs.

The same data, steps and model, by the order shoppers want and by plain relevance. Two shops. ``planted``:
small towers where the truth is known (``learning.planted_shop``). ``clicks``: the trainer's fine-tune of the
base model on all clicks before the test weeks; relevant is what anybody ever clicked for the query.
``log_beta_*`` is the sweep of logQ's beta.
"""

import argparse
import math
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.report import finish, read_jsonl, say
from benchmarks.learning.judged import read_catalog
from benchmarks.learning.planted_shop import Planted, Variant, averaged
from benchmarks.learning.planted_shop import learn as learn_planted
from benchmarks.learning.raw_clicks import add_log_options, log_files
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from trainer.data.popularity import Popularity
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.weights import Weighting, log_popularity, weigh
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.evaluation.scoring import evaluate
from trainer.learning.fine_tune import device_of, fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData

VARIANTS = {
    "unweighted": Variant("constant"),
    "repeated": Variant("constant", repeated=True),
    "log": Variant("log"),
    "linear": Variant("linear"),
    "inverse_sqrt": Variant("inverse_sqrt"),
    "log_beta_0.25": Variant("log", 0.25),
    "log_beta_0.5": Variant("log", 0.5),
    "log_beta_1": Variant("log", 1.0),
    "linear_beta_0.5": Variant("linear", 0.5),
    "linear_beta_1": Variant("linear", 1.0),
}
_DAY_S = 86_400


@dataclass(frozen=True)
class Clicks:
    """Rows as the stream counts them, before and in the test weeks.

    Also every (query, product) that was ever clicked.
    """

    train: pl.DataFrame
    qrels: pl.DataFrame
    ever: dict[str, set[str]]

    @classmethod
    def read(cls, path: Path, products: set[str], weeks: range, settings: TrainerSettings) -> "Clicks":
        """Take ISO weeks of the file; clicks on unknown products and of blank queries are left out."""
        counts: Counter[tuple[int, str, str, int]] = Counter()
        ever: dict[str, set[str]] = {}
        for row in read_jsonl(path):
            query, at = (
                normalise_query(row["query"]),
                datetime.fromisoformat(row["click_time"]).replace(tzinfo=UTC),
            )
            if query and row["product_id"] in products and (week := at.isocalendar().week) < weeks.stop:
                counts[week, query, row["product_id"], int(at.timestamp()) // _DAY_S] += 1
                ever.setdefault(query, set()).add(row["product_id"])
        before, during = (
            pl.DataFrame(
                [
                    (q, p, day, "click", 1000 * n, 0, 0)
                    for (week, q, p, day), n in sorted(counts.items())
                    if (week in weeks) == tested
                ],
                schema=PAIR_SCHEMA,
                orient="row",
            )
            for tested in (False, True)
        )
        qrels = (
            Popularity.of(settings)
            .credits_by_pair(during)
            .drop("last_day")
            .with_columns(gain=(1 + pl.col("credit")).log(2))
        )
        return cls(
            before,
            qrels.with_columns(unseen=~pl.col("query").is_in(before["query"].unique().to_list())),
            ever,
        )


def learn_clicks(
    clicks: Clicks,
    catalog: pl.DataFrame,
    variant: Variant,
    settings: TrainerSettings,
    most: int | None = None,
) -> dict[str, float]:
    """Fine-tune on the newest ``most`` pairs.

    Return graded nDCG@10 of all and of never clicked queries, precision@10, and the cost.
    """
    newest = clicks.train["day"].max()
    assert isinstance(newest, int)
    weighted = weigh(
        clicks.train,
        pl.DataFrame(schema=CLIENT_SCHEMA),
        Weighting.as_counted(
            Popularity.of(settings),
            variant.weight_map,
            half_life_days=settings.half_life.total_seconds() / _DAY_S,
        ),
        newest_day=newest,
    )
    weighted = weighted.sort("last_day", "query", "product_id", descending=[True, False, False]).head(
        most or weighted.height
    )
    weighted = weighted.sort("query", "product_id").with_columns(
        weight=pl.col("weight") / pl.col("weight").mean()
    )
    known = weighted.select("query", "product_id").join(
        log_popularity(weighted), on="product_id", maintain_order="left"
    )
    settings = settings.model_copy(update={"logq_beta": variant.beta})
    device = device_of(settings.device)
    steps = plan(settings, new_pairs=weighted.height, old_pairs=0, from_live=False, device=device)
    pairs = weighted
    if variant.repeated:
        counted = (
            Popularity.of(settings)
            .credits_by_pair(clicks.train)
            .select("query", "product_id", times=pl.col("credit").round().cast(pl.Int64))
        )
        counted = weighted.join(counted, on=["query", "product_id"], maintain_order="left")
        pairs = counted.select(pl.all().exclude("times").repeat_by("times").explode())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        texts = dict(catalog.select("product_id", "text").iter_rows())
        facts = fine_tune(
            resolve_model(settings.base_model), folder, TrainingData(pairs, known, texts), steps
        )
        found = evaluate(
            EvaluationCatalog.of(catalog),
            clicks.qrels,
            weighted,
            {"candidate": folder},
            language=settings.language,
            threads=1,
        )
    own = found.results.filter(pl.col("system") == "candidate").join(
        found.queries.select("query", "unseen"), on="query"
    )
    precision = [
        len(clicks.ever[query].intersection(ids)) / 10
        for query, ids in own.select("query", "top").iter_rows()
    ]
    return {
        "ndcg10": round(float(own["ndcg10"].to_numpy().mean()), 4),
        "ndcg10_unseen": round(float(own.filter("unseen")["ndcg10"].to_numpy().mean()), 4),
        "precision10": round(float(np.mean(precision)), 4),
        "pairs": pairs.height,
        "steps": facts.steps,
        "cpu_s": facts.cpu_s,
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_log_options(parser)
    parser.add_argument("--weeks", default="38-40", help="test weeks A-B; all earlier ones are trained")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, comma separated")
    parser.add_argument("--planted-seeds", type=int, default=3, help="0 leaves the planted shop out")
    parser.add_argument(
        "--newest-pairs", type=int, default=None, help="train on at most so many pairs of the clicks"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    first, last = map(int, args.weeks.split("-"))
    chosen = {name: VARIANTS[name] for name in args.variants.split(",")}
    planted = {}
    for name, variant in chosen.items() if args.planted_seeds else ():
        planted[name] = averaged(
            [
                learn_planted(Planted.of(s), variant, s)
                for s in range(args.seed, args.seed + args.planted_seeds)
            ]
        )
        say(f"planted {name}: {planted[name]}")
    settings = TrainerSettings(seed=args.seed, popularity="clicks")
    path, products = log_files(args)
    catalog, refused = read_catalog(products)
    clicks = Clicks.read(path, set(catalog["product_id"].to_list()), range(first, last + 1), settings)
    real = {}
    for name, variant in chosen.items():
        real[name] = learn_clicks(clicks, catalog, variant, settings, args.newest_pairs)
        say(f"clicks {name}: {real[name]}")
    finite = all(math.isfinite(value) for by in (*planted.values(), *real.values()) for value in by.values())
    return finish(
        "weighting",
        seed=args.seed,
        started=started,
        ok=finite and clicks.qrels.height > 0,
        device=device_of(settings.device),
        products=catalog.height,
        products_refused=refused,
        test_queries=clicks.qrels["query"].n_unique(),
        planted=planted,
        clicks=real,
    )


if __name__ == "__main__":
    raise SystemExit(main())
