"""Fine-tune a sentence-transformers model on weighted pairs with its Trainer, and save it as a standard folder (safetensors).

The only training in searchloop. Takes frames and folders, no Kafka: runs, tests and benchmarks call the same ``fine_tune``. Deterministic
for a seed on CPU, also when it was killed and went on from its checkpoint. Sees only the pairs it is given, so nothing of the test.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import structlog
import torch
import transformers
from datasets import Dataset
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from trainer.learning.checkpoints import checkpoint_folder, newest_checkpoint, smaller_until_it_fits
from trainer.learning.collation import Collator, schedule
from trainer.learning.hard_negatives import mine
from trainer.learning.interpolation import Blend
from trainer.learning.loss import EngagementLoss, Table
from trainer.learning.numbering import Numbers
from trainer.learning.plan import LINEAGE, Lineage, Plan, Training
from trainer.learning.sampling import Rows
from trainer.learning.towers import TopTower, Tower, WholeTower, build, vectors
from trainer.learning.training_progress import Step, StepReport, TrainingError, inner_scores, latest_sound
from trainer.learning.twins import stand_ins

log = structlog.get_logger(__name__)

WEIGHTS = "trained.safetensors"
MIN_VALIDATION = 30


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
    inner: pl.DataFrame | None = None,
    lineage: Lineage | None = None,
    progress: Callable[[Step], None] = lambda _: None,
) -> Training:
    """Train from the model in ``start`` and save it in ``output``, which appears only when it is whole.

    ``pairs``: query, product_id, weight, and optionally ``new`` (bool; False marks the replay side). ``known``: query and product_id of all
    engagement before the cut, and optionally ``log_popularity``, without which a product is as popular as it has pairs. ``texts``: the
    document text of every product of both. ``inner``: query, product_id, gain of queries that are neither trained nor tested; with enough
    of them training stops when they get no better, and the best state is saved. A call that was killed is taken up by the next equal one,
    from the checkpoints that lie beside ``output`` until it is done. When the device's memory does not suffice the batch is halved, with a
    warning. Raises ``TrainingError``.
    """
    if pairs.is_empty():
        raise TrainingError("there are no pairs to train on")
    began, began_cpu = time.perf_counter(), time.process_time()
    torch.set_num_threads(plan.threads)
    transformers.utils.logging.disable_progress_bar()
    told = {product for frame in (pairs, known, inner) if frame is not None for product in frame["product_id"].to_list()}
    numbers = Numbers.of(pairs, known, inner, stand_ins({product: texts[product] for product in told}))
    folder = checkpoint_folder(output, start, pairs, plan)
    new = np.flatnonzero(pairs["new"].to_numpy()) if "new" in pairs.columns else np.arange(pairs.height)

    def attempt(plan: Plan) -> Training:
        model = _load(start, plan.device)
        tower = build(model, *numbers.texts(texts), top_layers=plan.top_layers if plan.device == "cpu" else None)
        return _train(
            model, tower, numbers, new, plan, folder / f"batch-{plan.batch_size}", progress, lambda: _save(model, output, lineage)
        )

    done = smaller_until_it_fits(attempt, plan)
    shutil.rmtree(folder, ignore_errors=True)
    wall = time.perf_counter() - began
    return done.model_copy(
        update={
            "old_pairs": pairs.height - len(new),
            "cpu_s": round(time.process_time() - began_cpu, 2),
            "wall_s": round(wall, 2),
            "pairs_per_s": round(done.steps * done.batch_size / wall, 1),
        }
    )


def _load(folder: Path, device: str) -> Any:
    return SentenceTransformer(
        str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True}
    )


class _UpperLayers(SentenceTransformer):  # type: ignore[misc]
    """A model that takes numbers of texts in place of tokens: what enters its trained layers is remembered by its tower."""

    tower: Tower

    def forward(self, input: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:  # noqa: A002 the library's name
        return {"sentence_embedding": self.tower.embed(input["input_ids"])}


class _Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's Trainer; a checkpoint holds the weights that train, by safetensors, and no copy of the others."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002 the library's signature
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: p.detach().cpu().contiguous() for name, p in _trained(self.model).items()}, folder / WEIGHTS)

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:  # noqa: ARG002 the library's signature
        weights = load_file(Path(checkpoint_path) / WEIGHTS)
        with torch.no_grad():
            for name, parameter in _trained(self.model).items():
                parameter.copy_(weights[name])

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Compute no examples for a card that nobody writes."""


class _InnerScore(BaseEvaluator):  # type: ignore[misc]
    """nDCG@10 of the validation queries over their own and some other products, by what would be saved. Its metric is the step to keep.

    The scores of every step are written beside the checkpoints, so that a training that was killed decides as if it had not been.
    """

    def __init__(self, tower: Tower, numbers: Numbers, folder: Path, blend: Blend) -> None:
        super().__init__()
        self._tower, self._numbers, self._folder, self._blend = tower, numbers, folder, blend
        self._products = numbers.contenders()

    def of(self, step: int) -> npt.NDArray[np.float64]:
        """Return the scores (n,) after a step."""
        scores: npt.NDArray[np.float64] = np.load(self._folder / f"scores-{step}.npy")
        return scores

    def __call__(self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1) -> dict[str, float]:  # noqa: ARG002
        was_training = model.training
        with self._blend.applied():
            queries = vectors(self._tower, self._numbers.validation_texts())
            products = vectors(self._tower, self._numbers.product_texts(self._products))
        model.train(was_training)
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(self._folder / f"scores-{steps}.npy", inner_scores(queries, products, self._products, self._numbers.gains))
        done = [int(path.stem.rpartition("-")[2]) for path in self._folder.glob("scores-*.npy")]
        return {"kept_step": float(latest_sound({step: self.of(step) for step in done if step <= steps}))}


def _train(
    model: Any,
    tower: Tower,
    numbers: Numbers,
    new: Rows,
    plan: Plan,
    folder: Path,
    progress: Callable[[Step], None],
    save: Callable[[], None],
) -> Training:
    trained: Any = model
    if isinstance(tower, TopTower):
        trained = _UpperLayers(modules=list(model), device=plan.device)
        trained.tower = tower
    bf16 = plan.device == "cuda"
    mined = None
    if plan.hard_negatives:
        products = vectors(tower, numbers.product_texts(np.arange(len(numbers.products))))
        mined = mine(vectors(tower, np.arange(len(numbers.queries))), products, numbers.known, among=numbers.engaged)
    drawn = schedule(numbers, new, plan, mined)
    table = Table(*(torch.from_numpy(a) for a in (numbers.query, numbers.product, numbers.weight, numbers.known, numbers.log_popularity)))
    loss = EngagementLoss(trained, table, scale=plan.scale, symmetric=plan.symmetric, beta=plan.beta, spread=plan.spread)
    report = StepReport(loss, plan, progress)
    validated = len(numbers.validation) >= MIN_VALIDATION
    blend = Blend(_trained(trained), plan.blend)
    inner = _InnerScore(tower, numbers, folder, blend) if validated else None
    trainer = _Trainer(
        model=trained,
        args=_arguments(plan, folder, whole=isinstance(tower, WholeTower), bf16=bf16, validated=validated),
        train_dataset=Dataset.from_dict({"label": drawn.rows, "negatives": list(drawn.negatives)}),
        loss=loss,
        evaluator=inner,
        data_collator=Collator(numbers, tower),
        callbacks=[_Reporter(report), *([EarlyStoppingCallback(plan.patience)] if validated else [])],
    )
    trainer.remove_callback(PrinterCallback)
    found = newest_checkpoint(folder)
    if found:
        log.info("training resumed from a checkpoint", checkpoint=found.name)
    trainer.train(resume_from_checkpoint=str(found) if found else None)
    model.eval()
    blend.apply()
    if trainer.is_world_process_zero():
        save()
    return Training(
        steps=trainer.state.global_step,
        best_step=trainer.state.best_global_step,
        inner_ndcg10=float(inner.of(trainer.state.best_global_step).mean()) if inner else None,
        batch_size=len(drawn.rows) // plan.steps,
        new_pairs=len(new),
        old_pairs=0,
        device=plan.device,
        bf16=bf16,
        top_layers_only=isinstance(tower, TopTower),
        loss_first=report.first,
        loss_last=report.last,
        cpu_s=0.0,
        wall_s=0.0,
        pairs_per_s=0.0,
    )


def _arguments(plan: Plan, folder: Path, *, whole: bool, bf16: bool, validated: bool) -> SentenceTransformerTrainingArguments:
    judge: dict[str, Any] = {}
    if validated:
        judge = {"eval_strategy": "steps", "eval_steps": plan.checkpoint_steps, "load_best_model_at_end": True}
        judge |= {"metric_for_best_model": "kept_step", "greater_is_better": True}
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate / (10 if whole else 1),
        warmup_steps=max(1, round(plan.warm_up * plan.steps)),
        weight_decay=0.01,
        max_grad_norm=1.0,
        seed=plan.seed,
        bf16=bf16,
        use_cpu=plan.device == "cpu",
        batch_sampler=lambda dataset, **kwargs: DefaultBatchSampler(SequentialSampler(dataset), **kwargs),
        dataloader_pin_memory=plan.device != "cpu",
        remove_unused_columns=False,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        save_strategy="steps",
        save_steps=plan.checkpoint_steps,
        save_total_limit=2,
        **judge,
    )


class _Reporter(TrainerCallback):  # type: ignore[misc]
    """Passes the Trainer's steps on."""

    def __init__(self, report: StepReport) -> None:
        self._report = report

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 the library's signature
        self._report.begin(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 the library's signature
        self._report.step(state.global_step)


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _save(model: Any, output: Path, lineage: Lineage | None) -> None:
    partial = output.with_name(output.name + ".tmp")
    model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
    if lineage is not None:
        (partial / LINEAGE).write_text(json.dumps(lineage.model_dump(), indent=1))
    partial.rename(output)
