"""How fast training is beside sentence-transformers' own.

Its Trainer with its MultipleNegativesRankingLoss, all layers. Both see the same pairs of a click log as
often, in batches of the same size, with the same bound on length; both are then scored on the next week.
``pairs_per_cpu_s`` counts everything from the saved start to the saved result. Also the rate of encoding a
catalogue beside plain ``encode``, and on a GPU the share of its bf16 peak.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from benchmarks.harness.report import data_folder, finish, say
from benchmarks.learning.clicklog import SETTINGS, ClickLog
from benchmarks.learning.judged import read_catalog
from benchmarks.learning.raw_clicks import add_log_options, log_files
from benchmarks.learning.weekly import Learner, WeeklyEvaluation
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from trainer.learning.fine_tune import device_of
from trainer.learning.plan import Plan, plan

# Dense bf16 peak in operations per second, from the makers' data sheets.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}


def theirs(
    pairs: pl.DataFrame, texts: dict[str, str], chosen: Plan, output: Path, learning_rate: float
) -> dict[str, float]:
    """Train with the library alone; return its cost."""
    began, began_cpu = time.perf_counter(), time.process_time()
    torch.set_num_threads(chosen.threads)
    model = SentenceTransformer(
        str(resolve_model(SETTINGS.base_model)), device=chosen.device, local_files_only=True
    )
    rows = {
        "anchor": pairs["query"].to_list(),
        "positive": [normalise_query(texts[p]) for p in pairs["product_id"]],
    }
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(output.with_name("theirs-trainer")),
        max_steps=chosen.steps,
        per_device_train_batch_size=chosen.batch_size,
        learning_rate=learning_rate,
        warmup_steps=max(1, round(chosen.warm_up * chosen.steps)),
        seed=chosen.seed,
        bf16=chosen.device == "cuda",
        use_cpu=chosen.device == "cpu",
        dataloader_drop_last=True,
        dataloader_pin_memory=chosen.device != "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    loss = MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_dict(rows), loss=loss
    ).train()
    model.save_pretrained(str(output), create_model_card=False)
    return _cost(
        chosen.steps * chosen.batch_size, time.process_time() - began_cpu, time.perf_counter() - began
    )


def encoding(texts: list[str]) -> dict[str, float]:
    """Return documents per CPU-second of our encoder and of plain ``encode``.

    Also the greatest difference of their vectors.
    """
    ours = Encoder.load(SETTINGS.base_model, device=device_of("auto"), threads=1)
    plain = SentenceTransformer(
        str(resolve_model(SETTINGS.base_model)), device=device_of("auto"), local_files_only=True
    )
    prepared = [normalise_query(text) for text in texts]
    took: dict[str, list[float]] = {"ours": [], "plain": []}
    vectors: dict[str, Any] = {}
    for _ in range(2):
        for name, seconds in took.items():
            began = time.process_time()
            vectors[name] = (
                ours.encode_documents(texts)
                if name == "ours"
                else plain.encode(prepared, batch_size=64, normalize_embeddings=True)
            )
            seconds.append(time.process_time() - began)
    rates = {f"{name}_per_cpu_s": round(len(texts) / min(seconds), 1) for name, seconds in took.items()}
    return rates | {
        "documents": len(texts),
        "max_difference": float(np.abs(vectors["ours"] - vectors["plain"]).max()),
    }


def share_of_peak(pairs_per_s: float, pairs: pl.DataFrame, texts: dict[str, str]) -> dict[str, object]:
    """Return the operations per second that training is worth (6 per weight and token).

    Beside the GPU's bf16 peak, where it is known.
    """
    model = SentenceTransformer(str(resolve_model(SETTINGS.base_model)), device="cpu", local_files_only=True)
    weights = sum(p.numel() for layer in model[0].auto_model.encoder.layer for p in layer.parameters())
    sample = pairs.head(2000)
    both = [f"{q} {normalise_query(texts[p])}" for q, p in sample.select("query", "product_id").iter_rows()]
    tokens = float(np.mean([len(row) + 2 for row in model.tokenizer(both)["input_ids"]]))
    name = torch.cuda.get_device_name(0)
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    worth = pairs_per_s * tokens * 6 * weights
    return {"gpu": name, "operations_per_s": worth, "share_of_bf16_peak": worth / peak if peak else None}


def _cost(pairs: int, cpu_s: float, wall_s: float) -> dict[str, float]:
    rates = {"pairs_per_cpu_s": round(pairs / cpu_s, 1), "pairs_per_s": round(pairs / wall_s, 1)}
    return {"pairs": pairs, "cpu_s": round(cpu_s, 2), "wall_s": round(wall_s, 2), **rates}


def main() -> int:
    """Parse the arguments and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    add_log_options(parser)
    parser.add_argument(
        "--catalog", type=Path, default=None, help="products to encode; default: homedepot_products.jsonl.gz"
    )
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--week", type=int, default=35, help="train on all before it, score on it")
    parser.add_argument(
        "--learning-rates",
        default="1e-4",
        help="of the library's training, comma separated: its best one counts",
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    log = ClickLog.read(*log_files(args))
    (week,) = log.weeks(args.week, args.week)
    settings: TrainerSettings = SETTINGS.model_copy(update={"seed": args.seed})
    device = device_of(settings.device)
    pairs, texts = (
        log.pairs_before(week, settings=settings),
        dict(log.catalog.select("product_id", "text").iter_rows()),
    )
    chosen = plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device=device)
    ground, base = WeeklyEvaluation(log, settings), resolve_model(settings.base_model)
    variants: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="searchloop-speed-") as scratch:
        models = {"base": base}
        models["ours"], facts = Learner(log, settings, Path(scratch)).train("ours", week)
        variants["ours"] = _cost(facts.steps * facts.batch_size, facts.cpu_s, facts.wall_s) | {
            "bf16": facts.bf16
        }
        for rate in map(float, args.learning_rates.split(",")):
            name = f"st_mnrl_{rate:g}"
            models[name] = Path(scratch) / name
            variants[name] = theirs(pairs, texts, chosen, models[name], rate)
            say(f"{name}: {variants[name]}")
        scores = ground.score(week, models, {})
    for name, own in variants.items():
        own["ndcg10"] = {part: scores[name][part] for part in ("all", "unseen")}
    best = max(
        (name for name in variants if name != "ours"), key=lambda name: variants[name]["ndcg10"]["all"]
    )
    catalog, _ = read_catalog(args.catalog or data_folder() / "homedepot_products.jsonl.gz")
    encoded = encoding(catalog["text"].head(args.documents).to_list())
    ratio = variants["ours"]["pairs_per_cpu_s"] / variants[best]["pairs_per_cpu_s"]
    return finish(
        "training_speed",
        seed=args.seed,
        started=started,
        ok=all(np.isfinite(own["ndcg10"]["all"]) for own in variants.values())
        and encoded["max_difference"] < 1e-4,
        device=device,
        batch_size=chosen.batch_size,
        steps=chosen.steps,
        variants=variants,
        base_ndcg10=scores["base"],
        best_of_library=best,
        ratio_per_cpu_s=round(ratio, 2),
        ratio_per_s=round(variants["ours"]["pairs_per_s"] / variants[best]["pairs_per_s"], 2),
        quality_at_least_equal=variants["ours"]["ndcg10"]["all"] >= variants[best]["ndcg10"]["all"],
        encoding=encoded,
        gpu=share_of_peak(variants["ours"]["pairs_per_s"], pairs, texts) if device == "cuda" else None,
    )


if __name__ == "__main__":
    raise SystemExit(main())
