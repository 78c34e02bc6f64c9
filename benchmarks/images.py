"""Products with pictures: a small CLIP from its configuration, trained by the trainer on simulated purchases.

Shoppers ask for a colour and a kind, which the attributes of products tell and no model reads: it has titles
and prepared pictures. Ranked are held-out products by the picture alone, the text alone, and both as they are
served. Also: pictures prepared a second of CPU, refused ones, whether a fresh process gives the same vectors.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artefacts.store import ArtefactStore
from benchmarks.harness.report import data_folder, finish, say
from benchmarks.learning.pictured_shop import Part, PicturedProducts, PicturedShop, read_pictured_products
from benchmarks.learning.small_models import Size, small_model
from media.pictures import stored_pictures
from retrieval.document import text_of
from retrieval.encoder import Encoder, Vectors
from retrieval.field_weights import FieldWeights
from schemas.settings import TrainerSettings
from trainer.evaluation.bootstrap import interval, resampled_means
from trainer.evaluation.ranking_metrics import ndcg, top
from trainer.learning.fine_tune import device_of, fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_progress import TrainingStep

# Random weights have all to learn: the trainer's own plan is for a model that knows the language. Chosen on
# products that are neither trained nor reported (docs/journal.md).
SIZE = Size(hidden=64, layers=2, heads=4, side=32, patch=8, words=2000, tokens=24)
PASSES, RATE, BATCH = 24.0, 1e-2, 128
SAMPLE = 64
OTHERS = ("untrained", "text", "image")


@dataclass(frozen=True)
class Ranked:
    """nDCG@10 (q,) of the queries by system."""

    by_system: Mapping[str, np.ndarray]

    @classmethod
    def averaged(cls, several: Sequence["Ranked"]) -> "Ranked":
        """Return each query's mean over all of them, which have the same queries and systems."""
        systems = several[0].by_system
        return cls({one: np.mean([ranked.by_system[one] for ranked in several], axis=0) for one in systems})

    def mean(self, system: str) -> float:
        """Return the mean of a system."""
        return round(float(self.by_system[system].mean()), 4)

    def difference(self, ours: str, theirs: str) -> dict[str, float]:
        """Return the mean and the 95 % interval of a difference, paired by query."""
        delta = self.by_system[ours] - self.by_system[theirs]
        low, high = interval(resampled_means(delta[:, None], resamples=10_000, seed=1)[:, 0], 0.025)
        return {"mean": round(float(delta.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


@dataclass(frozen=True)
class LearntSeed:
    """What came of one seed. ``embed_s``: CPU to encode every product once."""

    ranked: Ranked
    embed_s: float
    fields: Mapping[str, Any]


def weighed(model: Path, weights: FieldWeights | None, artefacts: str) -> Encoder:
    """Load a model, with other weights of text and picture where they are given."""
    kept = FieldWeights.read(model)
    try:
        (weights or kept).write(model)
        return Encoder.load(model, pictures=stored_pictures(artefacts), threads=1)
    finally:
        kept.write(model)


def scores(encoder: Encoder, shop: PicturedShop, part: Part) -> np.ndarray:
    """Return the nDCG@10 (q,) of the test queries over the held-out products."""
    ids, wanted = shop.part(part), shop.wanted(part)
    documents = encoder.encode_documents([shop.documents[i] for i in ids])
    places = top(encoder.encode_queries(list(wanted)) @ documents.T, 10)
    found = zip(places, wanted.values(), strict=True)
    return np.array([ndcg([ids[p] for p in row], dict.fromkeys(own, 1.0)) for row, own in found])


def in_a_fresh_process(model: Path, artefacts: str, documents: Sequence[str], folder: Path) -> Vectors:
    """Return the vectors (n, dim) of documents as another process gives them."""
    asked, given = folder / "asked.npy", folder / "given.npy"
    np.save(asked, np.array(documents))
    program = "import sys\nfrom benchmarks.images import answer\nanswer(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(model), artefacts, str(asked), str(given)]
    subprocess.run(command, check=True, timeout=600)
    vectors: Vectors = np.load(given)
    return vectors


def answer(model: str, artefacts: str, asked: str, given: str) -> None:
    """Write the vectors of the documents in a file; what a fresh process runs."""
    encoder = Encoder.load(model, pictures=stored_pictures(artefacts), threads=1)
    np.save(given, encoder.encode_documents(np.load(asked).tolist()))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=Path, default=None)
    parser.add_argument("--images", type=Path, default=None)
    parser.add_argument("--passes", type=float, default=PASSES, help="how often each pair is trained")
    parser.add_argument("--report-on", choices=("test", "validation"), default="test")
    parser.add_argument(
        "--seeds",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 2, 3],
        help="of purchases, weights and steps; each query counts by its mean over all",
    )
    args = parser.parse_args()
    started = time.monotonic()
    products = args.products or data_folder() / "fashion2k_products.jsonl.gz"
    images = args.images or data_folder() / "fashion2k_images.tar"
    with tempfile.TemporaryDirectory() as scratch:
        artefacts = str(Path(scratch) / "artefacts")
        began = time.process_time()
        read = read_pictured_products(products, images, ArtefactStore(artefacts))
        prepare_s = time.process_time() - began
        say(f"{len(read.documents)} products, {read.prepared} pictures, refused {read.refused}")
        learnt = []
        for seed in args.seeds:
            (folder := Path(scratch) / str(seed)).mkdir()
            learnt.append(learn_one(read, artefacts, folder, args.passes, args.report_on, seed))
            say(f"seed {seed}: {learnt[-1].fields}")
    averaged = Ranked.averaged([one.ranked for one in learnt])
    embed_s = sum(one.embed_s for one in learnt) / len(learnt)
    fields: dict[str, Any] = {
        "ndcg10": {system: averaged.mean(system) for system in averaged.by_system},
        "fused_minus": {one: averaged.difference("fused", one) for one in OTHERS},
        "queries": len(averaged.by_system["fused"]),
        "by_seed": {str(seed): one.fields for seed, one in zip(args.seeds, learnt, strict=True)},
        "prepare_per_s": round(read.prepared / prepare_s, 1),
        "prepare_share": round(prepare_s / (prepare_s + embed_s), 3),
        "parity_min_cosine": min(one.fields["parity_min_cosine"] for one in learnt),
        "refused": read.refused,
    }
    return finish(
        "images",
        seed=args.seeds[0],
        started=started,
        ok=all(fields["fused_minus"][one]["low"] > 0 for one in OTHERS)
        and fields["parity_min_cosine"] >= 0.9999,
        device=device_of("auto"),
        **fields,
    )


def learn_one(
    read: PicturedProducts, artefacts: str, folder: Path, passes: float, part: Part, seed: int
) -> LearntSeed:
    """Train a model of one seed in ``folder``, and rank by it."""
    shop = PicturedShop.of(read, seed=seed)
    start, model = folder / "start", folder / "model"
    small_model(start, shop.texts(), size=SIZE, seed=seed)
    FieldWeights().write(start)
    cpu_s = learn(shop, start, model, artefacts, passes=passes, seed=seed)
    alone = {"text": FieldWeights(text=1, picture=0), "image": FieldWeights(text=0, picture=1)}
    ranked = Ranked(
        {"untrained": scores(weighed(start, None, artefacts), shop, part)}
        | {name: scores(weighed(model, weights, artefacts), shop, part) for name, weights in alone.items()}
        | {"fused": scores(weighed(model, None, artefacts), shop, part)}
    )
    encoder = weighed(model, None, artefacts)
    began = time.process_time()
    vectors = encoder.encode_documents(list(shop.documents.values()))
    embed_s = time.process_time() - began
    drawn = np.random.default_rng(seed).permutation(len(vectors))[:SAMPLE]
    every = list(shop.documents.values())
    sample = [every[i] for i in drawn]
    texts = [text_of(one) for one in sample]
    again = in_a_fresh_process(model, artefacts, [*sample, *texts], folder)
    wanted = np.concatenate([vectors[drawn], encoder.encode_documents(texts)])
    fields = {
        "ndcg10": {system: ranked.mean(system) for system in ranked.by_system},
        "fused_minus_text": ranked.difference("fused", "text"),
        "weights": FieldWeights.read(model).model_dump(),
        "training_cpu_s": round(cpu_s, 1),
        "parity_min_cosine": round(float((again * wanted).sum(axis=1).min()), 6),
    }
    return LearntSeed(ranked, embed_s, fields)


def learn(
    shop: PicturedShop, start: Path, output: Path, artefacts: str, *, passes: float, seed: int
) -> float:
    """Train into ``output``; return the seconds of CPU."""

    def progress(step: TrainingStep) -> None:
        if step.step % 50 == 0 or step.step == step.steps:
            say(f"step {step.step}/{step.steps}, loss {step.loss:.3f}, {step.eta_s:.0f} s to go")

    pairs = shop.pairs()
    settings = TrainerSettings(
        seed=seed, learning_rate=RATE, passes=passes, batch_size=BATCH, max_steps=100_000, blend=1.0
    )
    facts = fine_tune(
        start,
        output,
        shop.training_data(pairs, stored_pictures(artefacts)),
        plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device=device_of("auto")),
        progress=progress,
    )
    return facts.cpu_s


if __name__ == "__main__":
    raise SystemExit(main())
