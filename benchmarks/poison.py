"""Made up clients against what is learnt.

Where an unrelated product ends up, and what honest new shoppers pay for the protection. A simulated shop's
history, once as it is and once with every attack in it (``poison_shop``), is weighed and trained by the
trainer's own code, each with trust in clients (``trust``) and without; ``--score`` looks at the learned
score of the pretrained model too (``poisoned_score``), which needs no training. All follows from ``--seed``;
nothing is chosen on what is reported here.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.attacks.poisoned_score import Pushed, pushed
from benchmarks.attacks.poisoned_shop import PoisonAttack, attacked, choose
from benchmarks.harness.report import finish, say
from benchmarks.verdicts.trained_shop import END, snapshot_of
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from simulator.shop import Shop
from trainer.data.arrival import Earlier, in_time
from trainer.data.popularity import Popularity
from trainer.data.remembered import remembered
from trainer.data.snapshot import Snapshot
from trainer.data.splits import split_by
from trainer.data.trust import believed
from trainer.data.weights import Weighting, log_popularity, weigh
from trainer.evaluation.bootstrap import Floats, interval, resampled_means
from trainer.evaluation.memory_of_pairs import taken_of
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, dense
from trainer.evaluation.ranking_metrics import ndcg
from trainer.learning.fine_tune import fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData

MAX_CREDIT_LOST, MAX_NDCG_LOST, MAX_IN_TEN = 0.01, 0.01, 0.1
WORTH_OF_ONE = 5  # of one made up client's order: as much may any number of them be worth


@dataclass(frozen=True)
class Learnt:
    """A trained model on the shop: the rank (from 1) of each attack's product, and nDCG@10 by test query."""

    ranks: list[int]
    ndcg10: Floats


class Bench:
    """One shop and its attacks."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.settings = TrainerSettings.load(os.environ, seed=args.seed, max_steps=max(1, args.steps))
        self.folder, self.base = folder, resolve_model(self.settings.base_model)
        shop = Shop(
            args.seed,
            end=END,
            products=args.products,
            shoppers=2 * args.sessions,
            weeks=4,
            sessions_per_week=args.sessions,
        )
        self.honest = snapshot_of(shop)
        self.catalog = EvaluationCatalog.of(self.honest.catalog)
        self.parts = split_by(self.settings, self.honest)
        self.attacks = choose(self.honest, self.parts.train, each=args.each, seed=args.seed)
        self.days = range(int(self.parts.train["day"].to_numpy().min()), self.parts.cut_day)
        self.poisoned = attacked(self.honest, self.attacks, days=self.days, seed=args.seed)
        self.tests = self.parts.qrels.group_by("query").agg("product_id", "gain").sort("query")

    def weights(self, snapshot: Snapshot, *, trust: bool) -> pl.DataFrame:
        """Weigh as a run does."""
        settings = self.settings if trust else self.settings.model_copy(update={"newcomer_deviations": 0.0})
        parts = split_by(self.settings, snapshot)
        return weigh(parts.train, snapshot.clients, Weighting.of(settings), newest_day=parts.newest_day)

    def learn(self, name: str, snapshot: Snapshot, *, trust: bool) -> Learnt:
        """Train from the base model as a run does, and look where the products are."""
        pairs = self.weights(snapshot, trust=trust)
        known = (
            Popularity.of(self.settings)
            .credits_by_pair(split_by(self.settings, snapshot).train)
            .select("query", "product_id", "credit")
        )
        output = self.folder / name
        fine_tune(
            self.base,
            output,
            TrainingData(
                pairs,
                known.select("query", "product_id").join(log_popularity(known), on="product_id", how="left"),
                dict(self.honest.catalog.select("product_id", "text").iter_rows()),
                self.parts.inner,
            ),
            plan(self.settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device="cpu"),
        )
        found = self.look(output)
        shutil.rmtree(output)
        say(
            f"{name}: {pairs.height} pairs trained, nDCG@10 {found.ndcg10.mean():.4f}, median rank of the "
            f"pushed {np.median(found.ranks)}"
        )
        return found

    def look(self, model: Path) -> Learnt:
        """Rank the entire catalogue for the attacked queries and for the test."""
        queries = [attack.query for attack in self.attacks] + self.tests["query"].to_list()
        ranked = dense(
            Embedded.of(Encoder.load(model, threads=1), queries, self.catalog),
            self.catalog,
            depth=len(self.catalog.ids),
        )
        count = len(self.attacks)
        ranks = [
            own.index(attack.product_id) + 1 for own, attack in zip(ranked[:count], self.attacks, strict=True)
        ]
        gains = [dict(zip(*row, strict=True)) for row in self.tests.select("product_id", "gain").iter_rows()]
        return Learnt(
            ranks, np.array([ndcg(own[:10], gain) for own, gain in zip(ranked[count:], gains, strict=True)])
        )

    def newcomers(self) -> pl.DataFrame:
        """Return the honest rows of clients who engaged nowhere else, and what is believed of their pairs."""
        seen = self.honest.clients.filter(pl.col("credit") > 0)
        once = seen.filter(pl.col("query").n_unique().over("client") == 1)
        return once.join(
            believed(seen, deviations=self.settings.newcomer_deviations), on=["query", "product_id"]
        )

    def price(self, clean: Mapping[str, Learnt]) -> dict[str, Any]:
        """Say what honest shoppers lose where nobody attacks.

        Credit, and nDCG@10 on minus off, over all queries and those of newcomers.
        """
        kept, full = (self.weights(self.honest, trust=trust) for trust in (True, False))
        both = full.join(
            kept.select("query", "product_id", kept=pl.col("credit")), on=["query", "product_id"], how="left"
        )
        new = self.newcomers()
        share = (
            new.group_by("query")
            .agg(new=pl.len())
            .join(self.honest.clients.group_by("query").agg(all=pl.len()), on="query")
        )
        theirs = (
            self.tests["query"]
            .is_in(share.filter(pl.col("new") >= 0.5 * pl.col("all"))["query"].to_list())
            .to_numpy()
        )
        rows_of = {"all": np.ones_like(theirs), "newcomers": theirs} if clean else {}
        change = clean["on"].ndcg10 - clean["off"].ndcg10 if clean else np.zeros(0)
        return {
            "credit_lost": round(1 - float(both["kept"].sum()) / float(both["credit"].sum()), 5),
            "newcomers": new["client"].n_unique(),
            "newcomers_credit_lost": round(
                1 - float((new["believed"] * new["credit"]).sum()) / max(1.0, float(new["credit"].sum())), 5
            ),
            "pairs_discounted": round(
                float((both["kept"].fill_null(0) < both["credit"] * 0.999).sum()) / max(1, both.height), 5
            ),
            "ndcg10": {name: _difference(change[rows], self.settings.seed) for name, rows in rows_of.items()},
        }

    def protection(self, by: dict[str, Learnt]) -> dict[str, dict[str, Any]]:
        """Return per arm the credit that the pair is weighed by, and the ranks.

        The ranks are by system, in one order of queries.
        """
        weighed = {name: self.weights(self.poisoned, trust=name == "on") for name in ("on", "off")}
        credit = {
            name: {(row[0], row[1]): row[2] for row in frame.iter_rows()} for name, frame in weighed.items()
        }
        told: dict[str, dict[str, Any]] = {}
        for name, own in _by_arm(self.attacks).items():
            pairs = [(self.attacks[i].query, self.attacks[i].product_id) for i in own]
            told[name] = {
                "credit": {
                    kind: round(float(np.mean([by_pair.get(pair, 0.0) for pair in pairs])), 2)
                    for kind, by_pair in credit.items()
                },
                "rank": {system: [found.ranks[i] for i in own] for system, found in by.items()},
            }
        return told

    def score(self) -> Pushed:
        """Say where the products are by the learned score, before and after, with trust and without."""
        snapshots = {
            "honest": (self.honest, True), "on": (self.poisoned, True), "off": (self.poisoned, False),
        }  # fmt: skip
        memories = {}
        for name, (snapshot, trust) in snapshots.items():
            settings = self.settings
            if not trust:
                settings = settings.model_copy(update={"newcomer_deviations": 0.0})
            parts = split_by(settings, snapshot)
            rows = remembered(
                parts.train, snapshot.clients, Weighting.of(settings), newest_day=parts.newest_day
            )
            memories[name] = taken_of(rows)
        return pushed(
            self.attacks,
            self.catalog,
            memories,
            self.parts.inner,
            model=self.base,
            language=self.settings.language,
            folder=self.folder,
        )

    def dated_back(self) -> dict[str, float]:
        """Return per arm the share of its credit that is left when a run of the day before had seen the shop.

        Each attack by itself.
        """
        newest = self.parts.newest_day
        path = self.folder / "yesterday.parquet"
        self.honest.pairs.filter(pl.col("day") < newest).write_parquet(path)
        left: dict[str, float] = {}
        for name, own in _by_arm(self.attacks).items():
            attack = self.attacks[own[0]]
            if attack.pattern in {"control", "campaign"}:
                continue
            snapshot = attacked(self.honest, [attack], days=self.days, seed=self.settings.seed)
            rows = split_by(self.settings, snapshot).train
            kept = in_time(
                rows, [Earlier(newest - 1, path)], newest_day=newest, settled_days=self.settings.settled_days
            )
            mine = [
                frame.filter(query=attack.query, product_id=attack.product_id)["credit"].sum()
                for frame in (kept, rows)
            ]
            left[name] = round(float(mine[0]) / max(1.0, float(mine[1])), 4)
        return left


def _by_arm(attacks: list[PoisonAttack]) -> dict[str, list[int]]:
    arms: dict[str, list[int]] = defaultdict(list)
    for number, attack in enumerate(attacks):
        arms[
            f"{attack.pattern}_{attack.clients}"
            if attack.clients > 1 or attack.pattern == "plain"
            else attack.pattern
        ].append(number)
    return arms


def _of_score(attacks: list[PoisonAttack], found: Pushed) -> dict[str, Any]:
    """Return per arm the ranks and what memory says, by kind of query and by memory."""
    arms = {
        arm: {
            kind: {
                name: {"rank": [found.ranks[name][kind][i] for i in own],
                       "memory": [found.memory[name][kind][i] for i in own]}
                for name in found.ranks
            }
            for kind in found.ranks["honest"]
        }
        for arm, own in _by_arm(attacks).items()
    }  # fmt: skip
    return {"coefficients": found.coefficients, "arms": arms}


def _difference(change: Floats, seed: int) -> dict[str, float]:
    if not len(change):
        return {"n": 0}
    low, high = interval(resampled_means(change[:, None], resamples=2000, seed=seed)[:, 0], 0.025)
    return {
        "mean": round(float(change.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n": len(change),
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--sessions", type=int, default=1700, help="in each of four weeks")
    parser.add_argument("--each", type=int, default=3, help="queries that each attack is tried on")
    parser.add_argument(
        "--steps",
        type=int,
        default=4000,
        help="upper bound of training steps; 0: look at the weights alone, in seconds",
    )
    parser.add_argument("--score", action="store_true", help="look at the learned score too, for minutes")
    args = parser.parse_args()
    started, cpu = time.monotonic(), time.process_time()
    folder = Path(tempfile.mkdtemp(prefix="searchloop-poison-"))
    try:
        bench = Bench(args, folder)
        say(f"{bench.honest.clients['client'].n_unique()} honest clients, {len(bench.attacks)} attacks")
        by: dict[str, Learnt] = {}
        clean: dict[str, Learnt] = {}
        if args.steps:
            by["untrained"] = bench.look(bench.base)
            by |= {name: bench.learn(name, bench.poisoned, trust=name == "on") for name in ("on", "off")}
            clean |= {
                name: bench.learn(f"clean_{name}", bench.honest, trust=name == "on") for name in ("on", "off")
            }
        protection, price, late = bench.protection(by), bench.price(clean), bench.dated_back()
        found = bench.score() if args.score else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    plain = [arm for name, arm in protection.items() if name.startswith("plain_")]
    goals = {
        "made_up_clients_count_like_a_few": all(
            arm["credit"]["on"] <= WORTH_OF_ONE * protection["plain_1"]["credit"]["off"] for arm in plain
        ),
        "newcomers_keep_their_credit": price["newcomers_credit_lost"] <= MAX_CREDIT_LOST,
    }
    in_ten: dict[str, float] = {}
    if by:
        ranks = [arm["rank"] for arm in plain]
        far = [
            (on, off)
            for rank in ranks
            for before, on, off in zip(rank["untrained"], rank["on"], rank["off"], strict=True)
            if before > 10
        ]
        in_ten = {
            name: round(float(np.mean([pair[column] <= 10 for pair in far])), 4)
            for column, name in enumerate(("on", "off"))
        }
        goals |= {
            "protected": in_ten["on"] <= MAX_IN_TEN,
            "no_less_relevant": price["ndcg10"]["all"]["high"] > -MAX_NDCG_LOST,
        }
    return finish(
        "poison", seed=args.seed, started=started, ok=all(goals.values()), goals=goals, in_first_ten=in_ten,
        protection=protection, price=price,
        left_of_dated_back=late, score=_of_score(bench.attacks, found) if found else {},
        clients=bench.honest.clients["client"].n_unique(), products=len(bench.catalog.ids),
        cpu_s=round(time.process_time() - cpu, 1),
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
