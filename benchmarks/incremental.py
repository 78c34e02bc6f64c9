"""What going on from the live model keeps and loses, week by week.

Beside a full retrain and beside the newest week alone. ``next``: nDCG@10 on the week after what was trained.
``old``: the same on queries of the first training window, which were trained: what is retained. ``general``:
reciprocal rank of products of another shop for every second word of their title: what is forgotten of
language. Each strategy with each seed; the trainer's own code and plans.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness.report import data_folder, finish, say
from benchmarks.learning.clicklog import SETTINGS, ClickLog
from benchmarks.learning.judged import read_catalog
from benchmarks.learning.raw_clicks import add_log_options, log_files
from benchmarks.learning.weekly import Learner
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, dense
from trainer.evaluation.ranking_metrics import ndcg, reciprocal_rank
from trainer.learning.fine_tune import device_of
from trainer.learning.plan import Training

OLD_QUERIES = 500
Turn = Callable[[Learner, int, Path], tuple[Path, Training | None]]


def _from_live(learner: Learner, week: int, live: Path) -> tuple[Path, Training | None]:
    return learner.train("live", week, start=live)


def _new_only(learner: Learner, week: int, live: Path) -> tuple[Path, Training | None]:
    settings = learner.settings.model_copy(update={"replay_share": 0.0})
    return Learner(learner.log, settings, learner.folder).train("new", week, start=live)


def _full(learner: Learner, week: int, live: Path) -> tuple[Path, Training | None]:  # noqa: ARG001 one signature for all
    return learner.train("full", week)


def _newest(learner: Learner, week: int, live: Path) -> tuple[Path, Training | None]:  # noqa: ARG001 one signature for all
    recent = ClickLog(learner.log.rows.filter(learner.log.rows["week"] == week - 1), learner.log.catalog, 0)
    return Learner(recent, learner.settings, learner.folder).train("newest", week)


def _frozen(learner: Learner, week: int, live: Path) -> tuple[Path, Training | None]:  # noqa: ARG001 one signature for all
    return live, None


STRATEGIES: dict[str, Turn] = {
    "frozen": _frozen,
    "from_live_half_replay": _from_live,
    "from_live_new_only": _new_only,
    "full_from_base": _full,
    "from_base_newest_only": _newest,
}


class Probe:
    """Scores a model on the next week, on the first window's queries, and on another shop's titles."""

    def __init__(self, log: ClickLog, first: int, general: Path, products: int) -> None:
        self._log, self._catalog = log, EvaluationCatalog.of(log.catalog)
        trained = [week for week in sorted(set(log.rows["week"].to_list())) if week < first]
        self._old = dict(list(log.gains(trained[-1]).items())[:OLD_QUERIES])
        self._other = EvaluationCatalog.of(read_catalog(general)[0].head(products))
        self._titles = {p: " ".join(self._other.titles[p].split()[::2]) for p in self._other.ids}

    def score(self, model: Path, week: int) -> dict[str, float]:
        """Return next, old and general."""
        encoder = Encoder.load(model, threads=1)
        documents = Embedded.of(encoder, [], self._catalog).documents
        found = {}
        for name, gains in (("next", self._log.gains(week)), ("old", self._old)):
            ranked = dense(Embedded(encoder.encode_documents(list(gains)), documents), self._catalog)
            found[name] = float(
                np.mean([ndcg(r, own) for r, own in zip(ranked, gains.values(), strict=True)])
            )
        ranked = dense(Embedded.of(encoder, list(self._titles.values()), self._other), self._other)
        ranks = [reciprocal_rank(r, {product: 1.0}) for r, product in zip(ranked, self._titles, strict=True)]
        return {name: round(value, 4) for name, value in (found | {"general": float(np.mean(ranks))}).items()}


def main() -> int:
    """Parse the arguments and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    add_log_options(parser)
    parser.add_argument(
        "--general",
        type=Path,
        default=None,
        help="another shop's products; default: homedepot_products.jsonl.gz",
    )
    parser.add_argument("--general-products", type=int, default=1500)
    parser.add_argument(
        "--weeks",
        default="35-39",
        help="ISO weeks A-B: the first model knows all before A, the last one is scored on B",
    )
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="the first of the seeds")
    args = parser.parse_args()
    log = ClickLog.read(*log_files(args))
    first, _, last = args.weeks.partition("-")
    weeks = list(log.weeks(int(first), int(last or first)))
    probe = Probe(
        log, weeks[0], args.general or data_folder() / "homedepot_products.jsonl.gz", args.general_products
    )
    base = probe.score(resolve_model(SETTINGS.base_model), weeks[-1])
    runs: dict[str, list[dict[int, dict[str, float]]]] = {name: [] for name in args.strategies.split(",")}
    for seed in range(args.seed, args.seed + args.seeds):
        with tempfile.TemporaryDirectory(prefix="searchloop-incremental-") as scratch:
            learner = Learner(log, SETTINGS.model_copy(update={"seed": seed}), Path(scratch))
            start, _ = learner.train("first", weeks[0])
            for name, own in runs.items():
                folder = Path(scratch) / name
                folder.mkdir()
                live, track = start, {weeks[0]: probe.score(start, weeks[0])}
                for week in weeks[1:]:
                    live, facts = STRATEGIES[name](Learner(log, learner.settings, folder), week, live)
                    track[week] = probe.score(live, week) | {"cpu_s": facts.cpu_s if facts else 0.0}
                    say(f"seed {seed}, {name}, week {week}: {track[week]}")
                own.append(track)
    variants = {name: {"mean": _mean(own, weeks[1:]), "runs": own} for name, own in runs.items()}
    return finish(
        "incremental",
        seed=args.seed,
        started=started,
        ok=all(
            np.isfinite(list(v["mean"].values())).all()
            for v in variants.values()
            if isinstance(v["mean"], dict)
        ),
        device=device_of(SETTINGS.device),
        seeds=args.seeds,
        base=base,
        variants=variants,
    )


def _mean(runs: list[dict[int, dict[str, float]]], weeks: list[int]) -> dict[str, float]:
    """Return next averaged over weeks and seeds, old and general at the last week.

    Also the spread of next over seeds, and the cost.
    """
    following = [float(np.mean([run[week]["next"] for week in weeks])) for run in runs] if weeks else [0.0]
    ends = {name: float(np.mean([run[max(run)][name] for run in runs])) for name in ("old", "general")}
    cost = float(np.mean([sum(run[week]["cpu_s"] for week in weeks) for run in runs]))
    found = {
        "next": float(np.mean(following)),
        "next_spread": float(np.ptp(following)),
        **ends,
        "cpu_s": cost,
    }
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    raise SystemExit(main())
