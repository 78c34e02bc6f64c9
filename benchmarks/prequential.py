"""Week by week over a click log, offline, with the trainer's own code.

Train on all before a week, test on the week. ``frozen`` is trained once, on all before the first week;
``incremental`` goes on from it every week; ``full`` starts from the base model every week. ``served`` is the
incremental model with all parts of the score, weighed on the week before with the model that had not seen
that week, and with a ranker where one proved itself there; ``served_untrained`` the pretrained one.
``..._without_ranker`` is the sum of its parts, ``..._without_PART`` that sum without one of them.
``fast_lane`` is the frozen model refreshed before every week, as the trainer does it (ADR 0013): memory,
popularity, and coefficients and a ranker where they hold beside those that serve; ``fast_lane_daily`` before
every day. It begins with those of ``served``, and fits from the second week on: what the model has trained
on says nothing of how much it should weigh. ``fast_lane_kept`` keeps the coefficients and the ranker that it
began with. nDCG@10 over the whole catalogue per distinct query, gain log2(1 + clicks) of the week;
``unseen``: queries without a click before the week. ``fast_lane_daily`` answers each of the same queries
once, on the first day of the week on which it was asked, by what was known before that day, and is judged by
the same gains. ``differences``: paired by query, with 95 %
intervals; a part's is that of the sum.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.report import finish, say
from benchmarks.learning.clicklog import SETTINGS, ClickLog
from benchmarks.learning.raw_clicks import add_log_options, log_files
from benchmarks.learning.refreshed import FrozenModel, RefreshedModel
from benchmarks.learning.weekly import Learner, Scores, WeeklyEvaluation
from retrieval.model_folder import resolve_model
from retrieval.ranking import PARTS
from schemas.releases import Ranking
from trainer.learning.fine_tune import device_of

WEEKLY, DAILY = LANES = ("fast_lane", "fast_lane_daily")


def mean_over(weeks: Mapping[int, Scores]) -> Scores:
    """Return the mean of each system over the weeks, each week weighing the same."""
    systems = next(iter(weeks.values()))
    return {
        s: {
            part: round(float(np.mean([w[s][part] for w in weeks.values()])), 4) for part in ("all", "unseen")
        }
        for s in systems
    }


def main() -> int:
    """Parse the arguments and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    add_log_options(parser)
    parser.add_argument("--weeks", default="35-40", help="ISO weeks A-B to test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-full", action="store_true", help="leave the weekly full retrain out")
    args = parser.parse_args()
    log = ClickLog.read(*log_files(args))
    first, _, last = args.weeks.partition("-")
    tested = list(log.weeks(int(first), int(last or first)))
    settings = SETTINGS.model_copy(update={"seed": args.seed})
    base = resolve_model(settings.base_model)
    ground = WeeklyEvaluation(log, settings)
    weeks: dict[int, Scores] = {}
    cost: dict[int, dict[str, float]] = {}
    coefficients: dict[int, dict[str, float]] = {}
    rankers: dict[int, dict[str, dict[str, object]]] = {}
    lanes: dict[str, RefreshedModel] = {}
    with tempfile.TemporaryDirectory(prefix="searchloop-prequential-") as scratch:
        learner = Learner(log, settings, Path(scratch))
        earlier = set(log.rows.filter(pl.col("week") < tested[0] - 1)["week"].to_list())
        previous = learner.train("look-back", tested[0] - 1)[0] if earlier else None
        frozen, live, kept = Path(), Path(), Ranking()
        for week in tested:
            if week == tested[0]:
                live, facts = learner.train("frozen", week)
                frozen, full, cost[week] = (
                    live,
                    live,
                    {"frozen": facts.cpu_s, "incremental": facts.cpu_s, "full": facts.cpu_s},
                )
            else:
                previous = live
                live, facts = learner.train("incremental", week, start=live)
                cost[week] = {"incremental": facts.cpu_s}
                if not args.without_full:
                    full, facts = learner.train("full", week)
                    cost[week]["full"] = facts.cpu_s
            ours = ground.ranking_for(previous, week - 1) if previous else Ranking()
            if week == tested[0]:
                kept, model = ours, FrozenModel.of(log, settings, frozen, ground.catalog, ground.words)
                lanes = {name: RefreshedModel(model, ours, Path(scratch) / name) for name in LANES}
            theirs = ground.ranking_for(base, week - 1)
            coefficients[week] = ours.coefficients
            rankers[week] = {
                name: ground.rankers[model, week - 1].model_dump()
                for name, model in (("served", previous), ("served_untrained", base))
                if model is not None
            }
            models = {"base": base, "frozen": frozen, "incremental": live} | (
                {} if args.without_full else {"full": full}
            )
            ranked = {
                "served": (live, ours),
                "served_untrained": (base, theirs),
                "fast_lane_kept": (frozen, kept),
            }
            weeks[week] = ground.score(week, models, ranked)
            for name, lane in lanes.items():
                answers = lane.week(week, daily=name == DAILY, fitting=week > tested[0])
                weeks[week][name] = ground.scored(name, week, answers)
            weeks[week] |= ground.leave_one_out(week, "served", live, ours)
            weeks[week] |= ground.leave_one_out(week, "served_untrained", base, theirs)
            say(
                f"week {week}: "
                + ", ".join(f"{s} {v['all']:.3f}/{v['unseen']:.3f}" for s, v in weeks[week].items())
            )
    mean = mean_over(weeks)
    compared = [
        ("served", "served_untrained"),
        ("served", "incremental"),
        ("served", WEEKLY),
        ("served", DAILY),
        (WEEKLY, "fast_lane_kept"),
        (DAILY, "fast_lane_kept"),
        (DAILY, WEEKLY),
    ] + [(name, f"{name}_without_ranker") for name in ("served", "served_untrained")]
    parts = {
        f"{name}_minus_{name}_without_{part}": (f"{name}_without_ranker", f"{name}_without_{part}")
        for name in ("served", "served_untrained")
        for part in PARTS
    }
    return finish(
        "prequential",
        seed=args.seed,
        started=started,
        ok=all(
            np.isfinite(list(value.values())).all() and value["n"] > 0
            for scores in weeks.values()
            for value in scores.values()
        ),
        device=device_of(settings.device),
        weeks=weeks,
        mean=mean,
        differences={f"{a}_minus_{b}": ground.difference(a, b) for a, b in compared}
        | {name: ground.difference(*pair) for name, pair in parts.items()},
        train_cpu_s=cost,
        coefficients=coefficients,
        rankers=rankers,
        refreshes={name: {"told": lane.told, "cpu_s": lane.cpu_s} for name, lane in lanes.items()},
        clicks_ignored=log.ignored,
    )


if __name__ == "__main__":
    raise SystemExit(main())
