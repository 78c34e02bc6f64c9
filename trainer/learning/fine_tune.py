"""Fine-tune a sentence-transformers model on weighted pairs with its Trainer.

It is saved as a standard folder (safetensors). The only training in searchloop. Takes frames and folders, no
Kafka: runs, tests and benchmarks call the same ``fine_tune``. Deterministic for a seed on CPU, also when it
was killed and went on from its checkpoint. Sees only the pairs it is given, so nothing of the test.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
import transformers
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from transformers import EarlyStoppingCallback, PrinterCallback

from retrieval.document import PICTURE
from retrieval.field_weights import USUAL_WEIGHTS, FieldWeights
from retrieval.library_model import PictureInputs
from trainer.learning.checkpoints import checkpoint_folder, newest_checkpoint, smaller_until_it_fits
from trainer.learning.collation import Collator, schedule
from trainer.learning.field_fit import fitted_weights
from trainer.learning.field_texts import TriedFields
from trainer.learning.field_tower import FieldTower, ProductPictures, build
from trainer.learning.hard_negatives import HardNegatives, mine
from trainer.learning.interpolation import Blend
from trainer.learning.loss import EngagementLoss, Table
from trainer.learning.numbering import Numbers
from trainer.learning.pixels import Pixels
from trainer.learning.plan import LINEAGE, Lineage, Plan, Training
from trainer.learning.sampling import Rows
from trainer.learning.towers import (
    Tower,
    WholeTower,
    vectors,
)
from trainer.learning.trainer_adapter import (
    ByNumber,
    Reporter,
    ValidationScore,
    WeightsTrainer,
    arguments_of,
    trained_weights,
)
from trainer.learning.training_data import TrainingData
from trainer.learning.training_progress import StepReport, TrainingError, TrainingStep

log = structlog.get_logger(__name__)

MIN_VALIDATION = 30


def device_of(setting: str) -> str:
    """Return the device that a setting means: ``auto`` takes CUDA when there is one."""
    return setting if setting != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def fine_tune(
    start: Path,
    output: Path,
    data: TrainingData,
    plan: Plan,
    *,
    lineage: Lineage | None = None,
    progress: Callable[[TrainingStep], None] = lambda _: None,
) -> Training:
    """Train from the model in ``start`` and save it in ``output``, which appears only when it is whole.

    With enough validation queries training stops when they get no better, and the best state is saved. A call
    that was killed is taken up by the next equal one, from the checkpoints that lie beside ``output`` until
    it is done. When the device's memory does not suffice the batch is halved, with a warning. Raises
    ``TrainingError``.
    """
    if data.pairs.is_empty():
        raise TrainingError("there are no pairs to train on")
    began, began_cpu = time.perf_counter(), time.process_time()
    torch.set_num_threads(plan.threads)
    transformers.utils.logging.disable_progress_bar()
    folder, new = checkpoint_folder(output, start, data.pairs, plan), data.new_rows

    def attempt(plan: Plan) -> _Fit:
        model = _load(start, plan.device)
        inputs = PictureInputs.of(model[0])
        weights = FieldWeights.read(start)
        seen = set() if inputs is None else {PICTURE}
        counted = (weights.read_fields - {PICTURE}) | seen
        numbers = data.read_by(counted).numbered()
        queries, products = numbers.texts(data.read_by({*counted, *plan.fields}).texts)
        pictures = None
        if inputs is not None and data.pictures is not None:
            squares = Pixels(products, data.pictures, inputs.side, folder / "pixels.npy")
            pictures = ProductPictures(model, inputs, squares)
        top_layers = plan.top_layers if plan.device == "cpu" else None
        enough = len(numbers.validation) >= MIN_VALIDATION
        tower = build(
            model,
            queries,
            products,
            top_layers=top_layers,
            weights=weights,
            pictures=pictures,
            tried=TriedFields(plan.fields, numbers.contenders().tolist()) if enough else None,
        )
        course = _Course(model, tower, numbers, new, plan, folder / f"batch-{plan.batch_size}")
        return _train(course, progress, lambda: _save(model, output, lineage, course.fitted(weights)))

    fit = smaller_until_it_fits(attempt, plan)
    shutil.rmtree(folder, ignore_errors=True)
    wall = time.perf_counter() - began
    return Training(
        **asdict(fit),
        new_pairs=len(new),
        old_pairs=data.pairs.height - len(new),
        device=plan.device,
        cpu_s=round(time.process_time() - began_cpu, 2),
        wall_s=round(wall, 2),
        pairs_per_s=round(fit.steps * fit.batch_size / wall, 1),
    )


@dataclass(frozen=True)
class _Course:
    """One attempt at a training, with the batch size of its plan.

    ``new``: the rows of pairs that the start has not seen.
    """

    model: Any
    tower: Tower
    numbers: Numbers
    new: Rows
    plan: Plan
    folder: Path

    def mined(self) -> HardNegatives | None:
        """Return the hard negatives by the start model, or None where the plan has none."""
        if not self.plan.hard_negatives:
            return None
        products = vectors(self.tower, self.numbers.product_texts(np.arange(len(self.numbers.products))))
        queries = vectors(self.tower, np.arange(len(self.numbers.queries)))
        return mine(queries, products, self.numbers.known, among=self.numbers.engaged)

    def trainee(self) -> Any:
        """Return what the library trains: the model, or its tower over the numbers of texts."""
        if isinstance(self.tower, WholeTower):
            return self.model
        trainee = ByNumber(modules=list(self.model), device=self.plan.device)
        trainee.tower = self.tower
        return trainee

    def fitted(self, weights: FieldWeights) -> FieldWeights:
        """Return how the fields will be weighed; ``weights``: as the start weighs them."""
        if isinstance(self.tower, FieldTower) and len(self.numbers.validation) >= MIN_VALIDATION:
            return fitted_weights(self.tower, self.numbers)
        return weights

    def loss(self, trainee: Any) -> EngagementLoss:
        """Return the loss over the pairs' table."""
        numbers, plan = self.numbers, self.plan
        columns = (numbers.query, numbers.product, numbers.weight, numbers.known, numbers.log_popularity)
        table = Table(*(torch.from_numpy(column) for column in columns))
        return EngagementLoss(
            trainee, table, scale=plan.scale, symmetric=plan.symmetric, beta=plan.beta, spread=plan.spread
        )


@dataclass(frozen=True)
class _Fit:
    """What an attempt did, as ``Training`` names it."""

    steps: int
    best_step: int | None
    inner_ndcg10: float | None
    batch_size: int
    bf16: bool
    top_layers_only: bool
    loss_first: float
    loss_last: float


def _train(course: _Course, progress: Callable[[TrainingStep], None], save: Callable[[], None]) -> _Fit:
    plan, trainee = course.plan, course.trainee()
    bf16, validated = plan.device == "cuda", len(course.numbers.validation) >= MIN_VALIDATION
    drawn = schedule(course.numbers, course.new, plan, course.mined())
    loss = course.loss(trainee)
    report = StepReport(loss, plan, progress)
    blend = Blend(trained_weights(trainee), plan.blend)
    inner = ValidationScore(course.tower, course.numbers, course.folder, blend) if validated else None
    trainer = WeightsTrainer(
        model=trainee,
        args=arguments_of(
            plan, course.folder, whole=not course.tower.top_only, bf16=bf16, validated=validated
        ),
        train_dataset=Dataset.from_dict({"label": drawn.rows, "negatives": list(drawn.negatives)}),
        loss=loss,
        evaluator=inner,
        data_collator=Collator(course.numbers, course.tower),
        callbacks=[Reporter(report), *([EarlyStoppingCallback(plan.patience)] if validated else [])],
    )
    trainer.remove_callback(PrinterCallback)
    found = newest_checkpoint(course.folder)
    if found:
        log.info("training resumed from a checkpoint", checkpoint=found.name)
    trainer.train(resume_from_checkpoint=str(found) if found else None)
    course.model.eval()
    blend.apply()
    if trainer.is_world_process_zero():
        save()
    best = trainer.state.best_global_step
    return _Fit(
        steps=trainer.state.global_step,
        best_step=best,
        inner_ndcg10=float(inner.of(best).mean()) if inner else None,
        batch_size=len(drawn.rows) // plan.steps,
        bf16=bf16,
        top_layers_only=course.tower.top_only,
        loss_first=report.first,
        loss_last=report.last,
    )


def _load(folder: Path, device: str) -> Any:
    return SentenceTransformer(
        str(folder),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )


def _save(model: Any, output: Path, lineage: Lineage | None, weights: FieldWeights) -> None:
    partial = output.with_name(output.name + ".tmp")
    model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
    if weights != USUAL_WEIGHTS:
        weights.write(partial)
    if lineage is not None:
        (partial / LINEAGE).write_text(json.dumps(lineage.model_dump(), indent=1))
    partial.rename(output)
