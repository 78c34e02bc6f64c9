"""How a training is resumed after it was killed, and after the device's memory did not suffice.

Knows no model.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import polars as pl
import structlog
import torch

from trainer.learning.plan import Plan

log = structlog.get_logger(__name__)

T = TypeVar("T")
MIN_BATCH = 8
_LAST_FILE = "trainer_state.json"  # what the library writes last: a checkpoint without it was cut off


def checkpoint_folder(output: Path, start: Path, pairs: pl.DataFrame, plan: Plan) -> Path:
    """Return where the checkpoints of a training lie.

    Beside its output, under a name that no other data, start or plan has.
    """
    digest = hashlib.sha256(f"{start.absolute()} {plan}".encode())
    digest.update(pairs.hash_rows(seed=0).to_numpy().tobytes())
    return output.with_name(f"{output.name}.checkpoints") / digest.hexdigest()[:16]


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a folder, or None. Those that a kill cut off are removed."""
    whole = {}
    for path in folder.glob("checkpoint-*"):
        if (path / _LAST_FILE).is_file():
            whole[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return whole[max(whole)] if whole else None


def smaller_until_it_fits(attempt: Callable[[Plan], T], plan: Plan) -> T:
    """Return what ``attempt`` gives for the plan.

    With half the batch and twice the steps each time the device's memory does not suffice. Below
    ``MIN_BATCH`` pairs the ``torch.OutOfMemoryError`` is raised: the model itself is too large.
    """
    while True:
        try:
            return attempt(plan)
        except torch.OutOfMemoryError:
            if plan.batch_size // 2 < MIN_BATCH:
                raise
            plan = replace(plan, batch_size=plan.batch_size // 2, steps=plan.steps * 2)
            log.warning(
                "out of device memory, training again with a smaller batch", batch_size=plan.batch_size
            )
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
