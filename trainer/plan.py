"""How a fine-tune is done: from what it starts, for how long, with which rates. Follows from the amount of data. Pure; knows no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.settings import TrainerSettings

LINEAGE = "searchloop_training.json"
CUDA_BATCH = 1024


class Lineage(BaseModel):
    """Where a trained model comes from, kept in its folder: nothing from ``cut_day`` on, and no held-out query, was trained."""

    model_config = ConfigDict(frozen=True)

    cut_day: int
    heldout_share: float
    parent_sha256: str
    label_shuffle_seed: int | None = None


class Training(BaseModel):
    """What a fine-tune did. Rates are in pairs per second of wall clock."""

    model_config = ConfigDict(frozen=True)

    steps: int
    batch_size: int
    new_pairs: int
    old_pairs: int
    device: str
    bf16: bool
    top_layers_only: bool
    loss_first: float
    loss_last: float
    cpu_s: float
    wall_s: float
    pairs_per_s: float


@dataclass(frozen=True)
class Plan:
    """The hyper-parameters of one fine-tune, as they follow from the amount of data."""

    steps: int
    batch_size: int
    replay_share: float
    learning_rate: float
    scale: float
    hard_negatives: int
    top_layers: int
    seed: int
    device: str
    threads: int
    symmetric: bool = False
    beta: float = 0.0


def choose_start(
    asked: Literal["live", "pristine"], live: Lineage | None, *, cut_day: int, heldout_share: float, new_pairs: int
) -> tuple[Literal["live", "base"], str]:
    """Return what the fine-tune starts from, and why. ``live`` is the live model's lineage, ``new_pairs`` those it has not seen.

    A live model that was trained on days or queries of this run's test is never the start: the candidate would know the answers.
    """
    if asked == "pristine":
        return "base", "a full retrain was asked for"
    if live is None:
        return "base", "the live model is not trained"
    if live.cut_day > cut_day or live.heldout_share < heldout_share:
        return "base", "the live model has seen a part of the test"
    if not new_pairs:
        return "base", "there is nothing that the live model has not seen"
    return "live", f"{new_pairs} pairs are new to the live model"


def plan(settings: TrainerSettings, *, new_pairs: int, old_pairs: int, from_live: bool, device: str) -> Plan:
    """Return the plan for this amount of data: from live, half the passes over new pairs, and old pairs beside them."""
    pairs = new_pairs + old_pairs
    large = max(settings.batch_size, min(CUDA_BATCH, pairs // 20))
    batch = max(1, min(settings.batch_size if device == "cpu" else large, pairs))
    replay = settings.replay_share if from_live and old_pairs and new_pairs else 0.0
    passes = settings.passes / 2 if from_live else settings.passes
    seen = passes * (new_pairs if from_live and new_pairs else pairs) / (1 - replay)
    return Plan(
        steps=int(min(max(1, -(-seen // batch)), settings.max_steps)),
        batch_size=batch,
        replay_share=replay,
        learning_rate=settings.learning_rate,
        scale=settings.scale,
        hard_negatives=settings.hard_negatives,
        top_layers=settings.top_layers,
        seed=settings.seed,
        device=device,
        threads=settings.torch_threads,
        beta=settings.logq_beta,
    )


def lineage_of(folder: Path) -> Lineage | None:
    """Return where the model in a folder comes from, or None for one that was not trained here."""
    path = folder / LINEAGE
    return Lineage.model_validate_json(path.read_bytes()) if path.is_file() else None
