"""Prepared pictures made of a seed, and models that see them."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.learning.small_models import Kind, small_model
from media.images import prepare

TEXTS = ["red shoe", "blue shirt", "a green bag for men", "women's coat"]


def prepared_picture(seed: int, side: int = 40) -> bytes:
    """Return a prepared picture of noise."""
    file = BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    found = prepare(file.getvalue())
    assert isinstance(found, bytes)
    return found


def seeing_model(folder: Path, kind: Kind = "clip", seed: int = 0) -> Path:
    """Make a small model that reads texts and sees pictures."""
    return small_model(folder, TEXTS, kind=kind, seed=seed)
