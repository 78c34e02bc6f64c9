"""Promote rates of planted candidates by the gate and by two simpler rules.

Harmful ones, equal ones, and truly better ones. The ground is real: a simulated shop's test week, its queries
ranked over the catalogue by the pretrained model and by a live model that is trained here. Planted candidates
are perturbations of those rankings (``gate_planted``); of the kinds that training can produce, three are also
really trained, each with a seed of its own. All follow from ``--seed``. No threshold of the gate is chosen on
what is reported here: they are those of the settings, read from the environment as the trainer does.
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.harness.report import finish, say
from benchmarks.verdicts.planted_candidates import Pool, Results
from benchmarks.verdicts.planted_cases import IN_A_ROW, QUERIES, PlantedCases
from benchmarks.verdicts.promotion_rules import RULES, Setting
from benchmarks.verdicts.trained_candidates import train_all
from benchmarks.verdicts.trained_shop import ShopData, with_pooling
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from trainer.evaluation.artefact import examine
from trainer.gate.comparison import UNTAUGHT

PRODUCTS, SESSIONS = 400, 1700
LIVE_STEPS = 30
SIZES = (200, 500, 1000, 2000)
GAINS = (0.01, 0.02, 0.05)
TRAINED = 3
# Of all credit, held by the one client that poisons; the first is below what the gate allows
SHARES = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5)
POISONED = tuple(f"poisoned_at_{share}" for share in SHARES)
# By a memory or a prior that raises what has engagement: against live, and as live does already
BURIED = {"buries_new_products": False, "buries_them_as_live_does": True}
HARMFUL = (
    "shuffled_labels", "nan", "wrong_pooling", "one_category", *BURIED, "buries_rare_queries", *POISONED,
    "ten_small_losses",
)  # fmt: skip
HEADLINE, MORE = (0.02, 1000), 5


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-kind", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trained", type=int, default=TRAINED, help="really trained candidates of each kind")
    parser.add_argument(
        "--in-a-row", type=int, default=IN_A_ROW, help="candidates of a chain of small losses"
    )
    parser.add_argument("--live-steps", type=int, default=LIVE_STEPS, help="training steps of the live model")
    parser.add_argument("--products", type=int, default=PRODUCTS, help="of the simulated shop")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="visits a week of the simulated shop")
    args = parser.parse_args()
    started, cpu = time.monotonic(), time.process_time()
    ground = ShopData.of(args.seed, products=args.products, sessions=args.sessions)
    folder = Path(tempfile.mkdtemp(prefix="searchloop-gate-"))
    try:
        base = resolve_model(ground.settings.base_model)
        live = ground.train(base, folder / "live", ground.older, steps=args.live_steps, seed=args.seed)
        say(f"{ground.older.height} older pairs; live is trained")
        encoders = {"live": Encoder.load(live, threads=1), "base": Encoder.load(base, threads=1)}
        pool = Pool.of(ground, encoders["live"])
        artefacts = {
            name: examine(e, e.encode_documents(pool.catalog.documents), ["a query"])
            for name, e in encoders.items()
        }
        base_dense = pool.dense(encoders["base"])
        systems = {
            "live": pool.score(pool.products, pool.gains), "base": base_dense, UNTAUGHT: base_dense,
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
        wrong_artefact = examine(wrong, wrong.encode_documents(pool.catalog.documents), ["a query"])
        bench = PlantedCases(setting, args.seed + 2, sigma, args.per_kind, args.in_a_row)
        example = bench.plain(0.02)[1].ndcg10 - systems["live"].ndcg10
        spread |= {
            "noise": round(sigma, 3),
            "planted_sd": round(float(example.std()), 4),
            "planted_changed": round(float((example != 0).mean()), 3),
        }
        say(f"spread of really trained candidates and of planted ones: {spread}")
        bench.run("identical", lambda _: (setting, systems["live"], None))
        bench.run("equal_on_average", lambda _: bench.plain(0.0), times=MORE)
        bench.run(
            "shuffled_labels",
            lambda _: (setting, pool.perturbed(bench.noise() + pool.noise(bench.rng, 4.0), 0.0), None),
        )
        bench.run("nan", lambda i: (setting, None if i % 2 else _with_nan(systems["live"], bench.rng), None))
        bench.run("wrong_pooling", lambda _: (setting, wrong_results, wrong_artefact))
        bench.run("one_category", bench.one_category)
        for kind, before in BURIED.items():
            bench.buried(kind, before=before)
        bench.run("buries_rare_queries", bench.rare_forgotten)
        for kind, share in zip(POISONED, SHARES, strict=True):
            for _ in range(args.per_kind):
                bench.poison(kind, share)
            say(f"{kind}: " + ", ".join(f"{rule} {np.mean(bench.rates[kind][rule]):.2f}" for rule in RULES))
        for gain in GAINS:
            for n in SIZES:
                bench.run(
                    f"better_{gain:.2f}_at_{n}",
                    lambda _, g=gain: bench.plain(g),  # type: ignore[misc]
                    n,
                    times=MORE if (gain, n) == HEADLINE else 1,
                )
        ratchet = bench.chains()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rates = {
        kind: {rule: round(float(np.mean(found)), 4) for rule, found in by.items()}
        for kind, by in bench.rates.items()
    }
    goals = {
        "harmful": all(rates[kind]["ours"] == 0 for kind in HARMFUL)
        and not any(t["promoted"] and t["harmful"] for t in trained),
        "null": rates["identical"]["ours"] <= 0.05,
        "power": rates["better_0.02_at_1000"]["ours"] >= 0.9,
    }
    return finish(
        "gate", seed=args.seed, started=started, ok=all(goals.values()), promote_rate=rates, goals=goals,
        ratchet=ratchet, trained=trained, spread=spread, levels=levels,
        stopped_by={kind: dict(by) for kind, by in bench.why.items()}, per_kind=args.per_kind,
        queries=QUERIES, pool=pool.queries.height, cpu_s=round(time.process_time() - cpu, 1),
    )  # fmt: skip


def _with_nan(results: Results, rng: np.random.Generator) -> Results:
    ndcg10 = results.ndcg10.copy()
    ndcg10[rng.random(len(ndcg10)) < 0.05] = np.nan
    return replace(results, ndcg10=ndcg10)


if __name__ == "__main__":
    raise SystemExit(main())
