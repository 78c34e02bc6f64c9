"""Promote rates of planted candidates by the gate and by two simpler rules; harmful ones, equal ones, and truly better ones.

The ground is real: a simulated shop's test week, its queries ranked over the catalogue by the pretrained model and by a live model that
is trained here. Planted candidates are perturbations of those rankings (``gate_planted``); of the kinds that training can produce, three
are also really trained, each with a seed of its own. All follow from ``--seed``. No threshold of the gate is chosen on what is reported
here: they are those of the settings, read from the environment as the trainer does.
"""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness.report import finish, say
from benchmarks.verdicts.planted_candidates import Floats, Ints, Pool, Results
from benchmarks.verdicts.promotion_rules import RULES, Setting, evidence_of, foul, peers, peers_of, promoted
from benchmarks.verdicts.trained_shop import Ground, poisoned, with_nan, with_pooling
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from schemas.settings import GateSettings
from trainer.data.trust import believed
from trainer.evaluation.artefact import examine
from trainer.evaluation.files import Evaluation
from trainer.evaluation.power import DEFAULT_SD
from trainer.gate.case import evidence_of as evidence_of_files
from trainer.gate.past import LAST
from trainer.gate.verdict import decide

PRODUCTS, SESSIONS = 400, 1700
QUERIES = 1000
SIZES = (200, 500, 1000, 2000)
GAINS = (0.01, 0.02, 0.05)
LIVE_STEPS, STEPS = 30, 10
TRAINED = 3
IN_A_ROW = 10
TRAINED_QUERIES = 600
SHARES = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5)  # of all credit, held by the one client that poisons; the first is below what the gate allows
POISONED = tuple(f"poisoned_at_{share}" for share in SHARES)
HARMFUL = ("shuffled_labels", "nan", "wrong_pooling", "one_category", *POISONED, "ten_small_losses")
HEADLINE, MORE = (0.02, 1000), 5
STEP_LOSS = 0.004
VICTIMS = 0.03


class Bench:
    """The planted cases of one seed. ``rates`` collects promotions by kind and rule, ``why`` the checks that stopped the gate."""

    def __init__(self, setting: Setting, seed: int, sigma: float, per_kind: int, in_a_row: int = IN_A_ROW) -> None:
        self.setting, self.pool, self.live = setting, setting.pool, setting.systems["live"]
        self.rng, self.sigma, self.per_kind, self.in_a_row = np.random.default_rng(seed), sigma, per_kind, in_a_row
        self.rates: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.why: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def rows(self, n: int) -> Ints:
        """Draw the queries of a test week."""
        return self.rng.integers(0, self.pool.queries.height, n)

    def noise(self, scale: float = 1.0) -> Floats:
        """Draw a candidate's noise."""
        return self.pool.noise(self.rng, scale * self.sigma)

    def run(self, kind: str, make: Callable[[int], tuple[Setting, Results | None, Any]], n: int = QUERIES, *, times: int = 1) -> None:
        """Judge ``per_kind`` cases, ``times`` as many where a goal is near its rate.

        ``make`` gives the setting, the candidate on the pool and its artefact (None: live's).
        """
        for number in range(times * self.per_kind):
            setting, candidate, artefact = make(number)
            evidence = evidence_of(setting, self.rows(n), candidate, artefact=artefact)
            self.count(kind, *promoted(evidence, setting.limits))
        say(f"{kind}: " + ", ".join(f"{rule} {np.mean(self.rates[kind][rule]):.2f}" for rule in RULES))

    def count(self, kind: str, found: dict[str, bool], checks: list[Any]) -> None:
        """Take a case in."""
        for rule, promote in found.items():
            self.rates[kind][rule].append(promote)
        for check in checks:
            if check.verdict != "pass":
                self.why[kind][check.name] += 1

    def plain(self, gain: float) -> tuple[Setting, Results, None]:
        """Return a candidate whose true gain is this, spread evenly."""
        noise = self.noise()
        return self.setting, self.pool.perturbed(noise, self.pool.solved(noise, gain, self.live.ndcg10)), None

    def one_category(self, _: int) -> tuple[Setting, Results, None]:
        """Return a candidate that has learnt one category and forgotten the others: -.03 there, +.01 over all."""
        names, counts = np.unique(self.pool.categories, return_counts=True)
        name = self.rng.choice(names[counts >= 0.08 * len(self.pool.categories)])
        inside, noise = self.pool.categories == name, self.noise()
        share = inside.mean()
        outer = self.pool.solved(noise, -0.03, self.live.ndcg10, ~inside)
        inner = self.pool.solved(noise, min(0.4, (0.01 + 0.03 * (1 - share)) / share), self.live.ndcg10, inside)
        return self.setting, self.pool.perturbed(noise, np.where(inside, inner, outer)), None

    def poison(self, kind: str, share: float) -> None:
        """Judge a candidate that shows one client's product first for its queries; the test's labels are that client's too.

        The client holds ``share`` of all credit; its labels count as relevant there, so the candidate looks better.
        """
        victims = self.rng.random(self.pool.queries.height) < VICTIMS
        noise = self.noise(0.5)
        rest = self.pool.perturbed(noise, self.pool.solved(noise, -0.005, self.live.ndcg10, ~victims))
        # log2(1 + 10) for the spam beside what is true: live has it beyond the first fifty.
        spam = np.log2(11)
        ideal = np.where(victims, self.pool.ideal + spam, self.pool.ideal)
        live = replace(self.live, ndcg10=self.live.ndcg10 * self.pool.ideal / ideal)
        candidate = replace(
            rest,
            ndcg10=np.where(victims, (spam + 0.6 * self.live.ndcg10 * self.pool.ideal) / ideal, rest.ndcg10),
            mrr=np.where(victims, 1.0, rest.mrr),
            best=np.where(victims, True, rest.best),
            top=np.where(victims[:, None], np.concatenate([np.full((len(victims), 1), 0), self.live.top[:, :9]], axis=1), rest.top),
        )
        clients = np.where(victims, "spammer", self.pool.clients)
        setting = replace(foul(self.setting, share), pool=replace(self.pool, clients=clients))
        evidence = evidence_of(setting, self.rows(QUERIES), candidate, live=live)
        self.count(kind, *promoted(evidence, setting.limits))

    def chain(self, rule: str, limits: GateSettings, *, ratchet: bool = True) -> tuple[float, int]:
        """Let candidates come one after the other, each truly .004 worse than what is live then; return the true loss and promotions.

        Each has a fresh test. What is live next to the best of the last ten is chosen as the trainer does: by the chain of measured gains.
        """
        served = [(self.live, 0.0, self.pool.noise(self.rng, 0.0))]
        for _ in range(self.in_a_row):
            live, level, drawn = served[-1]
            noise = drawn + self.noise(0.5)
            candidate = self.pool.perturbed(noise, self.pool.solved(noise, -STEP_LOSS, live.ndcg10))
            best = max(reversed(served[-LAST:]), key=lambda s: s[1])[0] if ratchet else live
            rows = self.rows(QUERIES)
            if rule == "ours":
                good = decide(evidence_of(self.setting, rows, candidate, live=live, best=best), limits)[0] == "pass"
            else:
                good = peers_of((candidate.ndcg10 - live.ndcg10)[rows], {name: m[rows] for name, m in self.pool.segments.items()})[rule]
            if good:
                measured = float((candidate.ndcg10 - live.ndcg10)[rows].mean())
                served.append((candidate, level + measured, noise))
        return float(served[0][0].ndcg10.mean() - served[-1][0].ndcg10.mean()), len(served) - 1

    def chains(self) -> dict[str, dict[str, float]]:
        """Run ``per_kind`` chains for each rule; a chain slipped through when more than .01 was lost in the end."""
        fresh = self.setting.limits.model_copy(update={"gate_min_gain": -0.005})
        variants: dict[str, tuple[str, GateSettings, bool]] = {rule: (rule, self.setting.limits, True) for rule in RULES}
        variants |= {"ours_noninferior": ("ours", fresh, True), "ours_noninferior_without_ratchet": ("ours", fresh, False)}
        told = {}
        for name, (rule, limits, ratchet) in variants.items():
            found = [self.chain(rule, limits, ratchet=ratchet) for _ in range(self.per_kind)]
            slipped = [loss > 0.01 for loss, _ in found]
            if name in RULES:
                self.rates["ten_small_losses"][name] = slipped
            told[name] = {"slipped": float(np.mean(slipped)), "worst_loss": round(max(loss for loss, _ in found), 4),
                          "promotions": round(float(np.mean([n for _, n in found])), 2)}  # fmt: skip
            say(f"ten small losses, {name}: {told[name]}")
        return told


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-kind", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trained", type=int, default=TRAINED, help="really trained candidates of each kind")
    parser.add_argument("--in-a-row", type=int, default=IN_A_ROW, help="candidates of a chain of small losses")
    parser.add_argument("--live-steps", type=int, default=LIVE_STEPS, help="training steps of the live model")
    parser.add_argument("--products", type=int, default=PRODUCTS, help="of the simulated shop")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="visits a week of the simulated shop")
    args = parser.parse_args()
    started, cpu = time.monotonic(), time.process_time()
    ground = Ground.of(args.seed, products=args.products, sessions=args.sessions)
    folder = Path(tempfile.mkdtemp(prefix="searchloop-gate-"))
    try:
        base = resolve_model(ground.settings.base_model)
        live = ground.train(base, folder / "live", ground.older, steps=args.live_steps, seed=args.seed)
        say(f"{ground.older.height} older pairs; live is trained")
        encoders = {"live": Encoder.load(live, threads=1), "base": Encoder.load(base, threads=1)}
        pool = Pool.of(ground, encoders["live"])
        artefacts = {name: examine(e, e.encode_documents(pool.catalog.texts), ["a query"]) for name, e in encoders.items()}
        systems = {
            "live": pool.score(pool.products, pool.gains), "base": pool.dense(encoders["base"]),
            "bm25": pool.bm25(), "popularity": pool.popularity(ground),
        }  # fmt: skip
        levels = {name: round(float(found.ndcg10.mean()), 4) for name, found in systems.items()}
        say(f"{pool.queries.height} test queries; nDCG@10 {levels}")
        setting = Setting(pool, systems, artefacts, ground.data, ground.settings)
        trained, spread = train_all(ground, live, base, folder, args.seed, args.trained)
        rng = np.random.default_rng(args.seed + 1)
        sigma = pool.spread(rng, spread["sd"], systems["live"], 0.02)
        wrong = Encoder.load(with_pooling(live, folder / "cls", "cls"), threads=1)
        wrong_results = pool.dense(wrong)
        wrong_artefact = examine(wrong, wrong.encode_documents(pool.catalog.texts), ["a query"])
        bench = Bench(setting, args.seed + 2, sigma, args.per_kind, args.in_a_row)
        example = bench.plain(0.02)[1].ndcg10 - systems["live"].ndcg10
        spread |= {
            "noise": round(sigma, 3),
            "planted_sd": round(float(example.std()), 4),
            "planted_changed": round(float((example != 0).mean()), 3),
        }
        say(f"spread of really trained candidates and of planted ones: {spread}")
        bench.run("identical", lambda _: (setting, systems["live"], None))
        bench.run("equal_on_average", lambda _: bench.plain(0.0), times=MORE)
        bench.run("shuffled_labels", lambda _: (setting, pool.perturbed(bench.noise() + pool.noise(bench.rng, 4.0), 0.0), None))
        bench.run("nan", lambda i: (setting, None if i % 2 else _with_nan(systems["live"], bench.rng), None))
        bench.run("wrong_pooling", lambda _: (setting, wrong_results, wrong_artefact))
        bench.run("one_category", bench.one_category)
        for kind, share in zip(POISONED, SHARES, strict=True):
            for _ in range(args.per_kind):
                bench.poison(kind, share)
            say(f"{kind}: " + ", ".join(f"{rule} {np.mean(bench.rates[kind][rule]):.2f}" for rule in RULES))
        for gain in GAINS:
            for n in SIZES:
                bench.run(f"better_{gain:.2f}_at_{n}", lambda _, g=gain: bench.plain(g), n, times=MORE if (gain, n) == HEADLINE else 1)  # type: ignore[misc]
        ratchet = bench.chains()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rates = {kind: {rule: round(float(np.mean(found)), 4) for rule, found in by.items()} for kind, by in bench.rates.items()}
    goals = {
        "harmful": all(rates[kind]["ours"] == 0 for kind in HARMFUL) and not any(t["promoted"] and t["harmful"] for t in trained),
        "null": rates["identical"]["ours"] <= 0.05,
        "power": rates["better_0.02_at_1000"]["ours"] >= 0.9,
    }
    return finish(
        "gate", seed=args.seed, started=started, ok=all(goals.values()), promote_rate=rates, goals=goals, ratchet=ratchet, trained=trained,
        spread=spread, levels=levels, stopped_by={kind: dict(by) for kind, by in bench.why.items()}, per_kind=args.per_kind,
        queries=QUERIES, pool=pool.queries.height, cpu_s=round(time.process_time() - cpu, 1),
    )  # fmt: skip


def _with_nan(results: Results, rng: np.random.Generator) -> Results:
    ndcg10 = results.ndcg10.copy()
    ndcg10[rng.random(len(ndcg10)) < 0.05] = np.nan
    return replace(results, ndcg10=ndcg10)


def train_all(ground: Ground, live: Path, base: Path, folder: Path, seed: int, count: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Train and judge real candidates from live; return what the gate said of each, and how the plain ones spread."""
    names = ground.qrels["query"].unique().sort()
    used = set(names.sample(min(TRAINED_QUERIES, names.len()), seed=seed).to_list())
    qrels = ground.qrels.filter(pl.col("query").is_in(used))
    foul_data = [poisoned(replace(ground, qrels=qrels), seed + n, victims=int(VICTIMS * len(used)), credit=10.0) for n in range(count)]
    known = ground.evaluate({"base": base, "live": live}, qrels, {str(n): spam for n, (_, spam, _, _) in enumerate(foul_data)})
    told: list[dict[str, Any]] = []
    changes: list[Floats] = []
    for number, (pairs, spam_qrels, _, victims) in enumerate(foul_data):
        s = 100 * seed + number
        one = categories_of(ground)[s % len(categories_of(ground))]
        for kind in ("better", "shuffled_labels", "one_category", "poisoned", "wrong_pooling", "nan"):
            model = make(kind, ground, live, folder / f"{kind}{s}", s, one, pairs, victims)
            foul_test = kind == "poisoned"
            found = ground.evaluate({"candidate": model}, spam_qrels if foul_test else qrels)
            both = _joined(known.judged[str(number)] if foul_test else known, known, found)
            told.append(_judge_trained(ground, both, kind, one, victims))
            if kind == "better":
                changes.append(_changes(both))
            shutil.rmtree(model)
            say(f"trained {told[-1]}")
    sds = [float(c.std()) for c in changes] or [DEFAULT_SD]
    return told, {
        "sd": round(float(np.median(sds)), 4),
        "changed": round(float(np.mean([(c != 0).mean() for c in changes] or [0.0])), 3),
        "gain": round(float(np.mean([c.mean() for c in changes] or [0.0])), 4),
    }


def make(
    kind: str, ground: Ground, live: Path, output: Path, seed: int, category: str, foul_pairs: pl.DataFrame, victims: list[str]
) -> Path:  # fmt: skip
    """Make a candidate of a kind from the live model."""
    if kind == "wrong_pooling":
        return with_pooling(live, output, ("cls", "max", "lasttoken")[seed % 3])
    if kind == "nan":
        return with_nan(live, output, seed % 10)
    pairs, rate = ground.weighted, ground.settings.learning_rate
    if kind == "shuffled_labels":
        pairs = pairs.with_columns(product_id=pairs["product_id"].shuffle(seed=seed))
    elif kind == "one_category":
        category_of = dict(ground.snapshot.catalog.select("product_id", "category").iter_rows())
        pairs, rate = pairs.filter(pl.col("product_id").replace_strict(category_of) == category), 2e-3
    elif kind == "poisoned":
        ours = foul_pairs.filter(pl.col("query").is_in(victims))
        pairs = pl.concat([ours, foul_pairs.filter(~pl.col("query").is_in(victims)).sample(4 * ours.height, seed=seed)])
    return ground.train(live, output, pairs, steps=STEPS, seed=seed, rate=rate)


def categories_of(ground: Ground) -> list[str]:
    """Return the top categories, sorted."""
    return list(ground.snapshot.catalog["category"].unique().sort().to_list())


def _joined(test: Evaluation, known: Evaluation, candidate: Evaluation) -> Evaluation:
    systems = ["base", "live", "bm25", "popularity"]
    rows = test.results.filter(pl.col("system").is_in(systems))
    best = rows.filter(pl.col("system") == "live").with_columns(system=pl.lit("best"))
    own = candidate.results.filter(pl.col("system") == "candidate")
    facts = candidate.facts.model_copy(
        update={"artefacts": {**known.facts.artefacts, **candidate.facts.artefacts}, "problems": candidate.facts.problems}
    )
    return Evaluation(test.queries, pl.concat([rows, best, own]), facts)


def _changes(evaluation: Evaluation) -> Floats:
    values = {
        system: evaluation.results.filter(pl.col("system") == system).sort("query")["ndcg10"].to_numpy() for system in ("candidate", "live")
    }
    return values["candidate"] - values["live"] if len(values["candidate"]) else np.zeros(0)


def _judge_trained(ground: Ground, evaluation: Evaluation, kind: str, category: str, victims: list[str]) -> dict[str, Any]:
    trusted = believed(ground.snapshot.clients, deviations=ground.settings.newcomer_deviations)
    evidence = replace(evidence_of_files(evaluation, ground.snapshot, ground.weighted, trusted), data=ground.data, pinned=[])
    spam = set(victims) if kind == "poisoned" else set[str]()
    queries = evaluation.queries.sort("query")["query"].to_list()
    if spam:
        evidence = replace(evidence, clients=["spammer" if q in spam else c for q, c in zip(queries, evidence.clients, strict=True)])
    verdict, checks = decide(evidence, ground.settings)
    change = _changes(evaluation)
    outside = (
        np.array([c != category for c in evidence.categories]) if kind == "one_category" else np.array([q not in spam for q in queries])
    )
    elsewhere = float(change[outside].mean()) if len(change) else None
    harmful = kind != "better" and (elsewhere is None or kind == "poisoned" or elsewhere < 0)
    return {
        "kind": kind, "promoted": verdict == "pass", "verdict": verdict, "delta": round(float(change.mean()), 4) if len(change) else None,
        "elsewhere": None if elsewhere is None else round(elsewhere, 4), "harmful": harmful, "peers": peers(evidence),
        "stopped_by": [c.name for c in checks if c.verdict != "pass"],
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
