"""sentence-transformers' Trainer as it is used here.

What it is given, what its checkpoints hold, how it validates. Decides no plan. It is fed numbers of texts,
whose vectors a tower makes; only the weights that train are kept at a checkpoint.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler
from transformers import TrainerCallback

from trainer.learning.interpolation import Blend
from trainer.learning.numbering import Numbers
from trainer.learning.plan import Plan
from trainer.learning.towers import Tower, vectors
from trainer.learning.training_progress import StepReport, inner_scores, latest_sound

WEIGHTS = "trained.safetensors"


class ByNumber(SentenceTransformer):  # type: ignore[misc]
    """A model that takes numbers of texts in place of tokens: its tower knows what they are."""

    tower: Tower

    def forward(self, input: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:  # noqa: A002 the library's name
        """Return the vectors of numbers of texts, as the tower makes them."""
        return {"sentence_embedding": self.tower.embed(input["input_ids"])}


class WeightsTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's Trainer.

    A checkpoint holds the weights that train, by safetensors, and no copy of the others.
    """

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002 the library's signature
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in trained_weights(self.model).items()},
            folder / WEIGHTS,
        )

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:  # noqa: ARG002 the library's signature
        weights = load_file(Path(checkpoint_path) / WEIGHTS)
        with torch.no_grad():
            for name, parameter in trained_weights(self.model).items():
                parameter.copy_(weights[name])

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Compute no examples for a card that nobody writes."""


class ValidationScore(BaseEvaluator):  # type: ignore[misc]
    """nDCG@10 of the validation queries over their own and some other products, by what would be saved.

    Its metric is the step to keep. The scores of every step are written beside the checkpoints, so that a
    training that was killed decides as if it had not been.
    """

    def __init__(self, tower: Tower, numbers: Numbers, folder: Path, blend: Blend) -> None:
        super().__init__()
        self._tower, self._numbers, self._folder, self._blend = tower, numbers, folder, blend
        self._products = numbers.contenders()

    def of(self, step: int) -> npt.NDArray[np.float64]:
        """Return the scores (n,) after a step."""
        scores: npt.NDArray[np.float64] = np.load(self._folder / f"scores-{step}.npy")
        return scores

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,  # noqa: ARG002 (the library's own)
        epoch: float = -1,  # noqa: ARG002
        steps: int = -1,
    ) -> dict[str, float]:
        """Score the step, write its scores down, and return the best sound step so far."""
        was_training = model.training
        with self._blend.applied():
            queries = vectors(self._tower, self._numbers.validation_texts())
            products = vectors(self._tower, self._numbers.product_texts(self._products))
        model.train(was_training)
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(
            self._folder / f"scores-{steps}.npy",
            inner_scores(queries, products, self._products, self._numbers.gains),
        )
        done = [int(path.stem.rpartition("-")[2]) for path in self._folder.glob("scores-*.npy")]
        return {"kept_step": float(latest_sound({step: self.of(step) for step in done if step <= steps}))}


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Passes the Trainer's steps on."""

    def __init__(self, report: StepReport) -> None:
        self._report = report

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 the library's signature
        """Begin at the step from which the training goes on."""
        self._report.begin(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 the library's signature
        """Tell of a step."""
        self._report.step(state.global_step)


def arguments_of(
    plan: Plan, folder: Path, *, whole: bool, bf16: bool, validated: bool
) -> SentenceTransformerTrainingArguments:
    """Return the library's arguments for a plan.

    ``whole``: all layers train, at a tenth of the rate; ``validated``: the best is kept.
    """
    judge: dict[str, Any] = {}
    if validated:
        judge = {
            "eval_strategy": "steps",
            "eval_steps": plan.checkpoint_steps,
            "load_best_model_at_end": True,
        }
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


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return the parameters that train, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
