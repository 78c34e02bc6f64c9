"""Fine-tune a sentence-transformers model on weighted pairs and save it as a standard folder (safetensors).

The only training in searchloop. Takes frames and folders, no Kafka: runs, tests and benchmarks call the same ``fine_tune``. Deterministic
for a seed on CPU. Sees only the pairs it is given, so nothing of the test.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
import transformers
from sentence_transformers import SentenceTransformer

from schemas.text import normalise_query
from trainer.loss import EngagementLoss
from trainer.mining import HardNegatives, mine
from trainer.plan import LINEAGE, Lineage, Plan, Training
from trainer.sampling import Rows, batches
from trainer.towers import Tokens, TopTower, Tower, WholeTower

WARM_UP = 0.1


class TrainingError(RuntimeError):
    """Training cannot give a model: the loss is not finite, or there is nothing to train on."""


@dataclass(frozen=True)
class Step:
    """One step of training, for whoever shows progress."""

    step: int
    steps: int
    loss: float
    pairs_per_s: float
    eta_s: float


def device_of(setting: str) -> str:
    """Return the device that a setting means: ``auto`` takes CUDA when there is one."""
    return setting if setting != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def fine_tune(
    start: Path,
    output: Path,
    *,
    pairs: pl.DataFrame,
    known: pl.DataFrame,
    texts: Mapping[str, str],
    plan: Plan,
    lineage: Lineage | None = None,
    progress: Callable[[Step], None] = lambda _: None,
) -> Training:
    """Train from the model in ``start`` and save it in ``output``, which appears only when it is whole.

    ``pairs``: query, product_id, weight, and optionally ``new`` (bool; False marks the replay side). ``known``: query and product_id of all
    engagement before the cut, and optionally ``log_popularity``, without which a product is as popular as it has pairs. ``texts``: the
    document text of every product of both. Raises ``TrainingError``.
    """
    if pairs.is_empty():
        raise TrainingError("there are no pairs to train on")
    began, began_cpu = time.perf_counter(), time.process_time()
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    transformers.utils.logging.disable_progress_bar()
    model: Any = SentenceTransformer(
        str(start), device=plan.device, local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True}
    )
    data = _Numbers.of(pairs, known)
    tower, tokens = _tower(model, data, texts, plan)
    loss = _loss(data, plan).to(plan.device)
    new = np.flatnonzero(pairs["new"].to_numpy()) if "new" in pairs.columns else np.arange(pairs.height)
    old = np.setdiff1d(np.arange(pairs.height), new)
    drawn = batches(new, old, steps=plan.steps, batch_size=plan.batch_size, replay_share=plan.replay_share, seed=plan.seed)
    negatives = _mined(tower, data) if plan.hard_negatives else None
    bf16 = plan.device == "cuda" or _bf16_is_faster(tower, len(tokens.lengths))
    first, last = _loop(tower, loss, data, drawn, negatives, plan, bf16=bf16, progress=progress)
    _save(model, output, lineage)
    wall = time.perf_counter() - began
    return Training(
        steps=plan.steps,
        batch_size=plan.batch_size,
        new_pairs=len(new),
        old_pairs=len(old),
        device=plan.device,
        bf16=bf16,
        top_layers_only=isinstance(tower, TopTower),
        loss_first=first,
        loss_last=last,
        cpu_s=round(time.process_time() - began_cpu, 2),
        wall_s=round(wall, 2),
        pairs_per_s=round(sum(map(len, drawn)) / wall, 1),
    )


@dataclass(frozen=True)
class _Numbers:
    """Pairs by number: texts 0..q-1 are the queries, then the products."""

    queries: list[str]
    products: list[str]
    query: Rows
    product: Rows
    weight: npt.NDArray[np.float32]
    known: Rows  # (m, 2)
    log_popularity: npt.NDArray[np.float64]  # of each product

    @classmethod
    def of(cls, pairs: pl.DataFrame, known: pl.DataFrame) -> "_Numbers":
        queries = sorted(set(pairs["query"].to_list()))
        products = sorted({*pairs["product_id"].to_list(), *known["product_id"].to_list()})
        q_of, p_of = {q: i for i, q in enumerate(queries)}, {p: i for i, p in enumerate(products)}
        engaged = [(q_of[q], p_of[p]) for q, p in known.select("query", "product_id").iter_rows() if q in q_of]
        query = np.array([q_of[q] for q in pairs["query"]], dtype=np.int64)
        product = np.array([p_of[p] for p in pairs["product_id"]], dtype=np.int64)
        both = np.concatenate([np.array(engaged, dtype=np.int64).reshape(-1, 2), np.stack([query, product], axis=1)])
        counts = np.bincount(product, minlength=len(products)) + 1.0
        popularity = np.log(counts / counts.sum())
        if "log_popularity" in known.columns:
            for number, value in zip(map(p_of.__getitem__, known["product_id"]), known["log_popularity"], strict=True):
                popularity[number] = value
        return cls(queries, products, query, product, pairs["weight"].to_numpy().astype(np.float32), both, popularity)


def _tower(model: Any, data: _Numbers, texts: Mapping[str, str], plan: Plan) -> tuple[Tower, Tokens]:
    prompts = model.prompts or {}
    of_query, of_document = prompts.get("query") or "", prompts.get("document") or prompts.get("passage") or ""
    prepared = [of_query + normalise_query(q) for q in data.queries] + [of_document + normalise_query(texts[p]) for p in data.products]
    tokens = Tokens(model, prepared)
    if plan.device == "cpu" and TopTower.fits(model, tokens):
        return TopTower(model, tokens, plan.top_layers), tokens
    return WholeTower(model, tokens), tokens


def _loss(data: _Numbers, plan: Plan) -> EngagementLoss:
    return EngagementLoss(
        torch.from_numpy(data.query),
        torch.from_numpy(data.product),
        torch.from_numpy(data.weight),
        torch.from_numpy(data.known),
        scale=plan.scale,
        symmetric=plan.symmetric,
        log_popularity=torch.from_numpy(data.log_popularity),
        beta=plan.beta,
    )


@torch.no_grad()
def _mined(tower: Tower, data: _Numbers) -> HardNegatives:
    tower.train_mode(False)
    texts = torch.arange(len(data.queries) + len(data.products))
    vectors = torch.cat(
        [torch.nn.functional.normalize(tower.embed(part).float(), dim=-1).cpu() for part in torch.split(texts, 128)]
    ).numpy()
    return mine(vectors[: len(data.queries)], vectors[len(data.queries) :], data.known)


def _loop(
    tower: Tower,
    loss: EngagementLoss,
    data: _Numbers,
    drawn: list[Rows],
    negatives: HardNegatives | None,
    plan: Plan,
    *,
    bf16: bool,
    progress: Callable[[Step], None],
) -> tuple[float, float]:
    whole = isinstance(tower, WholeTower)
    optimiser = torch.optim.AdamW(tower.trained(), lr=plan.learning_rate / (10 if whole else 1), weight_decay=0.01)
    warm = max(1, round(WARM_UP * plan.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: (s + 1) / warm if s < warm else (plan.steps - s) / max(1, plan.steps - warm)
    )
    rng = np.random.default_rng([plan.seed, 1])
    tower.train_mode(True)
    began, seen, values = time.perf_counter(), 0, []
    for number, rows in enumerate(drawn, 1):
        mined = negatives.pick(data.query[rows], plan.hard_negatives, rng) if negatives else rows[:0]
        wanted = torch.from_numpy(np.concatenate([data.query[rows], len(data.queries) + data.product[rows], len(data.queries) + mined]))
        unique, back = torch.unique(wanted, return_inverse=True)
        with _autocast(plan.device, bf16=bf16):
            vectors = tower.embed(unique)[back.to(plan.device)]
        left, right, hard = torch.split(vectors, [len(rows), len(rows), len(mined)])
        value = loss(torch.from_numpy(rows).to(plan.device), left, right, hard, torch.from_numpy(mined).to(plan.device))
        if not torch.isfinite(value):
            raise TrainingError(f"the loss is {value.item()} at step {number} of {plan.steps}; nothing was saved")
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(tower.trained(), 1.0)
        optimiser.step()
        schedule.step()
        values.append(float(value.item()))
        seen += len(rows)
        rate = seen / max(1e-9, time.perf_counter() - began)
        progress(Step(number, plan.steps, values[-1], rate, (plan.steps - number) * len(rows) / rate))
    tower.train_mode(False)
    return values[0], values[-1]


def _autocast(device: str, *, bf16: bool) -> Any:
    return torch.autocast(device, dtype=torch.bfloat16) if bf16 else nullcontext()


def _bf16_is_faster(tower: Tower, texts: int) -> bool:
    """Measure a step each way: bf16 is a gain only on CPUs that have it, and a great loss on the others."""
    sample = torch.arange(min(32, texts))

    def once(*, bf16: bool) -> float:
        began = time.perf_counter()
        with _autocast("cpu", bf16=bf16):
            out = tower.embed(sample)
        torch.autograd.grad(out.float().sum(), tower.trained(), allow_unused=True)
        return time.perf_counter() - began

    tower.train_mode(False)
    plain = [once(bf16=False) for _ in range(3)]
    once(bf16=True)
    return min(once(bf16=True) for _ in range(2)) < 0.8 * min(plain)


def _save(model: Any, output: Path, lineage: Lineage | None) -> None:
    partial = output.with_name(output.name + ".tmp")
    model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
    if lineage is not None:
        (partial / LINEAGE).write_text(json.dumps(lineage.model_dump(), indent=1))
    partial.rename(output)
