"""How a fine-tune is done: from what it starts, for how long, with which rates.

Follows from the amount of data. Pure; knows no torch.
"""

from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from schemas.pairs import SINGLE_DAYS
from schemas.settings import TrainerSettings, named

LINEAGE = "searchloop_training.json"
CHECKPOINTS = 5  # of one training; at each, the validation queries are looked at
CUDA_BATCH = 1024
# Spread x (1 + 12 / steps): from the pretrained model vectors collapse in the first steps, so short trainings
# need more of it.
SPREAD_STEPS = 12


class Band(NamedTuple):
    """The hyper-parameters up to an amount of pairs to learn.

    Epochs over them from the pretrained model, and over new ones from live.
    """

    up_to_pairs: float
    passes: float
    live_passes: float


# The one table. Chosen on weeks 33 to 37 of a click log with 600 to 5,000 pairs; the rows beyond follow the
# literature and cost. The same for every shop.
BANDS = (
    Band(2_000, 2.5, 2.0),
    Band(20_000, 2.5, 2.0),
    Band(100_000, 2.0, 1.5),
    Band(inf, 1.0, 1.0),
)


class Lineage(BaseModel):
    """Where a trained model comes from, kept in its folder.

    Nothing from ``cut_day`` on, and no held-out query, was trained.
    """

    model_config = ConfigDict(frozen=True)

    cut_day: int
    heldout_share: float
    parent_sha256: str
    since_base: int = 0  # trainings that went on from a trained model
    label_shuffle_seed: int | None = None


class Training(BaseModel):
    """What a fine-tune did. Rates are in pairs per second of wall clock."""

    model_config = ConfigDict(frozen=True)

    steps: int
    best_step: int | None = None  # whose state was saved; None: the last one's
    inner_ndcg10: float | None = None
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
    symmetric: bool
    beta: float
    spread: float
    blend: float
    fields: tuple[str, ...] = ()  # of a product, that a training may weigh besides text and picture
    warm_up: float = 0.1
    checkpoint_steps: int = 1
    patience: int = 2


def choose_start(
    asked: Literal["live", "pristine"],
    live: Lineage | None,
    *,
    cut_day: int,
    heldout_share: float,
    new_pairs: int,
    full_every: int,
) -> tuple[Literal["live", "base"], str]:
    """Return what the fine-tune starts from, and why.

    ``live`` is the live model's lineage, ``new_pairs`` those it has not seen. A live model that was trained
    on days or queries of this run's test is never the start: the candidate would know the answers. Every
    ``full_every``-th training is from the pretrained model again; 0: none is for that reason.
    """
    if asked == "pristine":
        return "base", "a full retrain was asked for"
    if live is None:
        return "base", "the live model is not trained"
    age = cut_day - live.cut_day
    reasons = {
        "the live model has seen a part of the test": age < 0 or live.heldout_share < heldout_share,
        f"the live model is {age} days old: what is new to it cannot be told": age > SINGLE_DAYS,
        "there is nothing that the live model has not seen": not new_pairs,
        (
            f"{live.since_base} trainings went on from a trained model since the last from the pretrained one"
        ): bool(full_every) and live.since_base + 1 >= full_every,
    }
    why = next((reason for reason, holds in reasons.items() if holds), None)
    return ("base", why) if why else ("live", f"{new_pairs} pairs are new to the live model")


def plan(settings: TrainerSettings, *, new_pairs: int, old_pairs: int, from_live: bool, device: str) -> Plan:
    """Return the plan for this amount of data.

    How often each pair is seen by the table, and from live old pairs beside the new ones.
    """
    pairs = new_pairs + old_pairs
    large = max(settings.batch_size, min(CUDA_BATCH, pairs // 20))
    batch = max(1, min(settings.batch_size if device == "cpu" else large, pairs))
    replay = settings.replay_share if from_live and old_pairs and new_pairs else 0.0
    learnt = new_pairs if from_live and new_pairs else pairs
    band = next(band for band in BANDS if learnt <= band.up_to_pairs)
    passes = settings.passes or (band.live_passes if from_live else band.passes)
    steps = min(max(1, ceil(passes * learnt / (1 - replay) / batch)), settings.max_steps)
    every = ceil(steps / CHECKPOINTS)
    steps = max(every, min(ceil(steps / every) * every, settings.max_steps // every * every))
    return Plan(
        steps=steps,
        batch_size=batch,
        replay_share=replay,
        learning_rate=settings.learning_rate,
        scale=settings.scale,
        hard_negatives=settings.hard_negatives,
        top_layers=settings.top_layers,
        seed=settings.seed,
        device=device,
        threads=settings.torch_threads,
        symmetric=settings.symmetric,
        beta=settings.logq_beta,
        spread=settings.spread * (1.0 if from_live else 1.0 + SPREAD_STEPS / steps),
        blend=1.0 if from_live else settings.blend,
        fields=named(settings.tried_fields),
        checkpoint_steps=every,
    )


def lineage_of(folder: Path) -> Lineage | None:
    """Return where the model in a folder comes from, or None for one that was not trained here."""
    path = folder / LINEAGE
    return Lineage.model_validate_json(path.read_bytes()) if path.is_file() else None
