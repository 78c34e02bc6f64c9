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
from benchmarks.learning.pictured_shop import Part, PicturedShop, read_pictured_products
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


@dataclass(frozen=True)
class Ranked:
    """nDCG@10 (q,) of the queries by system."""

    by_system: Mapping[str, np.ndarray]

    def mean(self, system: str) -> float:
        """Return the mean of a system."""
        return round(float(self.by_system[system].mean()), 4)

    def difference(self, ours: str, theirs: str) -> dict[str, float]:
        """Return the mean and the 95 % interval of a difference, paired by query."""
        delta = self.by_system[ours] - self.by_system[theirs]
        low, high = interval(resampled_means(delta[:, None], resamples=10_000, seed=1)[:, 0], 0.025)
        return {"mean": round(float(delta.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


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
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    products = args.products or data_folder() / "fashion2k_products.jsonl.gz"
    images = args.images or data_folder() / "fashion2k_images.tar"
    with tempfile.TemporaryDirectory() as scratch:
        artefacts = str(Path(scratch) / "artefacts")
        began = time.process_time()
        read = read_pictured_products(products, images, ArtefactStore(artefacts))
        prepare_s = time.process_time() - began
        shop = PicturedShop.of(read, seed=args.seed)
        say(f"{len(shop.documents)} products, {read.prepared} pictures, refused {read.refused}")
        start = small_model(Path(scratch) / "start", shop.texts(), size=SIZE, seed=args.seed)
        FieldWeights().write(start)
        model = Path(scratch) / "model"
        cpu_s = learn(shop, start, model, artefacts, passes=args.passes, seed=args.seed)
        ranked = Ranked(
            {
                "untrained": scores(weighed(start, None, artefacts), shop, args.report_on),
                "text": scores(
                    weighed(model, FieldWeights(text=1, picture=0), artefacts), shop, args.report_on
                ),
                "image": scores(
                    weighed(model, FieldWeights(text=0, picture=1), artefacts), shop, args.report_on
                ),
                "fused": scores(weighed(model, None, artefacts), shop, args.report_on),
            }
        )
        encoder = weighed(model, None, artefacts)
        began = time.process_time()
        vectors = encoder.encode_documents(list(shop.documents.values()))
        embed_s = time.process_time() - began
        drawn = np.random.default_rng(args.seed).permutation(len(vectors))[:SAMPLE]
        every = list(shop.documents.values())
        sample = [every[i] for i in drawn]
        texts = [text_of(one) for one in sample]
        again = in_a_fresh_process(model, artefacts, [*sample, *texts], Path(scratch))
        wanted = np.concatenate([vectors[drawn], encoder.encode_documents(texts)])
        fields: dict[str, Any] = {
            "ndcg10": {system: ranked.mean(system) for system in ranked.by_system},
            "fused_minus": {one: ranked.difference("fused", one) for one in ("untrained", "text", "image")},
            "queries": len(ranked.by_system["fused"]),
            "weights": FieldWeights.read(model).model_dump(),
            "training_cpu_s": round(cpu_s, 1),
            "prepare_per_s": round(read.prepared / prepare_s, 1),
            "prepare_share": round(prepare_s / (prepare_s + embed_s), 3),
            "parity_min_cosine": round(float((again * wanted).sum(axis=1).min()), 6),
            "refused": read.refused,
        }
        gains = [fields["fused_minus"][one]["low"] > 0 for one in ("untrained", "text", "image")]
        return finish(
            "images",
            seed=args.seed,
            started=started,
            ok=all(gains) and fields["parity_min_cosine"] >= 0.9999,
            device=device_of("auto"),
            **fields,
        )


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
