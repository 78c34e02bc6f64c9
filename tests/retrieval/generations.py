"""Two generations of one small shop whose mixture is wrong without any error.

The second model is the first with half of its output dimensions negated: each alone finds every product by
its title. Imports that load torch lie inside the functions, so that collecting tests stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import shutil
from pathlib import Path

import numpy as np

from retrieval.index import Row, VectorStore, collection_name
from schemas.releases import Release, ReleaseState

THINGS = [
    "hdmi cable",
    "running shoes",
    "garden hose",
    "espresso machine",
    "wireless mouse",
    "yoga mat",
    "desk lamp",
    "rain jacket",
]
TITLES = [f"{colour} {thing}" for colour in ("red", "black", "silver") for thing in THINGS]


def negated_copy(model: Path, to: Path) -> Path:
    """Copy a MiniLM folder; every odd dimension of its output changes its sign."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(model, to)
    weights = load_file(to / "model.safetensors")
    signs = np.where(np.arange(384) % 2 == 0, 1.0, -1.0).astype(np.float32)
    for part in ("weight", "bias"):
        weights[f"encoder.layer.5.output.LayerNorm.{part}"] *= signs
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def build_generation(
    store: VectorStore, prefix: str, generation: int, folder: Path, *, brands: bool = True
) -> Release:
    """Index ``TITLES``, each title being its own product id, and return the release.

    The brand is the colour, or missing.
    """
    from retrieval.encoder import Encoder

    encoder = Encoder.load(folder, threads=1)
    name = collection_name(prefix, generation)
    vectors = encoder.encode_documents(TITLES)
    store.create(name, encoder.dim)
    store.upsert(
        name,
        [
            Row(title, v, generation, title, brand=title.split()[0] if brands else "")
            for title, v in zip(TITLES, vectors, strict=True)
        ],
    )
    store.flush(name)
    store.build_index(name)
    store.load(name)
    return Release(
        generation=generation,
        model=str(folder),
        model_sha256=encoder.fingerprint,
        dim=encoder.dim,
        collection=name,
        row_count=len(TITLES),
        state=ReleaseState.RELEASED,
    )
