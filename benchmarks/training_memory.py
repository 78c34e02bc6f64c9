"""How much memory a training takes.

The peak resident set of its process, for texts of ordinary length and for the longest there are. A simulated
catalogue of the size at which 5.9 GB were once seen. Each kind of text is trained in a process of its own,
which also gives the digest of the model, so that what saves memory can be seen to change nothing. ``ok``:
every peak is below ``--limit-mb``.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import polars as pl

from benchmarks.harness.report import finish, say
from retrieval.model_folder import fingerprint, resolve_model
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from simulator.assortment import SimProduct, generate
from trainer.learning.fine_tune import fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData
from trainer.run.processes import command

# Words of a product's text beyond its title: none, what eight attributes say, more than the model reads.
TEXTS = {"short": 0, "usual": 24, "longest": 300}


def texts_of(products: list[SimProduct], words: int, seed: int) -> dict[str, str]:
    """Return each product's title, followed by so many words of other products' descriptions."""
    rng = Random(seed)
    vocabulary = sorted({word for product in products for word in product.description.split()})
    return {p.product_id: " ".join([p.title, *rng.choices(vocabulary, k=words)]) for p in products}


def pairs_of(products: list[SimProduct], count: int, seed: int) -> pl.DataFrame:
    """Return ``count`` distinct pairs with weight 1; every product has one while there are enough of them."""
    rng, found = Random(seed), set[tuple[str, str]]()
    while len(found) < count:
        product = products[len(found) % len(products)]
        found.add(
            (normalise_query(" ".join(sorted(rng.sample(sorted(product.concepts), 3)))), product.product_id)
        )
    rows = sorted(found)
    return pl.DataFrame(
        rows, schema={"query": pl.String, "product_id": pl.String}, orient="row"
    ).with_columns(weight=pl.lit(1.0))


def measured(kind: str, size: int, count: int, steps: int, seed: int) -> dict[str, object]:
    """Train in this process.

    Return its greatest resident set in MB, its CPU-seconds and the digest of the model.
    """
    products = generate(seed, size)
    pairs = pairs_of(products, count, seed)
    settings = TrainerSettings(max_steps=steps, seed=seed)
    inner = pairs.gather_every(40).select("query", "product_id", gain=pl.lit(1.0))
    before = _peak_mb()
    with tempfile.TemporaryDirectory(prefix="searchloop-memory-") as scratch:
        facts = fine_tune(
            resolve_model(settings.base_model),
            Path(scratch) / "model",
            TrainingData(
                pairs, pairs.select("query", "product_id"), texts_of(products, TEXTS[kind], seed), inner
            ),
            plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device="cpu"),
        )
        digest = fingerprint(Path(scratch) / "model")
    return {
        "peak_mb": _peak_mb(),
        "before_training_mb": before,
        "top_layers_only": facts.top_layers_only,
        "steps": facts.steps,
        "cpu_s": facts.cpu_s,
        "inner_ndcg10": facts.inner_ndcg10,
        "model": digest[:12],
    }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    """Parse the arguments and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=11_753)
    parser.add_argument("--pairs", type=int, default=13_196)
    parser.add_argument("--steps", type=int, default=10, help="the peak is reached in the first ones")
    parser.add_argument("--texts", default=",".join(TEXTS), help="comma separated")
    parser.add_argument("--limit-mb", type=int, default=2560)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--own-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.own_process:
        sys.stdout.write(
            json.dumps(measured(args.texts, args.products, args.pairs, args.steps, args.seed)) + "\n"
        )
        return 0
    kinds = {}
    for kind in args.texts.split(","):
        asked = [f"--{name}={getattr(args, name)}" for name in ("products", "pairs", "steps", "seed")]
        own = [*command("benchmarks.training_memory", Path("--own-process")), f"--texts={kind}", *asked]
        kinds[kind] = json.loads(subprocess.run(own, check=True, stdout=subprocess.PIPE).stdout)
        say(f"{kind}: {kinds[kind]}")
    return finish(
        "training_memory",
        seed=args.seed,
        started=started,
        ok=all(own["peak_mb"] <= args.limit_mb for own in kinds.values()),
        products=args.products,
        pairs=args.pairs,
        limit_mb=args.limit_mb,
        texts=kinds,
    )


if __name__ == "__main__":
    raise SystemExit(main())
