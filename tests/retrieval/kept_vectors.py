"""Golden vectors as a store has them, and as a machine with another library would have kept them.

Imports that load torch lie inside the functions, so that collecting tests stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from artefacts.store import ArtefactStore


def kept(encoder: Any, address: Path) -> dict[str, np.ndarray]:
    data = ArtefactStore(str(address)).get(f"golden/1/{encoder.fingerprint}")
    assert data is not None
    with np.load(BytesIO(data), allow_pickle=False) as file:
        return dict(zip(file["names"].tolist(), file["vectors"], strict=True))


def keep_another(encoder: Any, address: Path, name: str) -> None:
    """Keep the vectors of a model, that of one input as another machine would have it."""
    from retrieval.golden_vectors import GoldenVectors

    GoldenVectors(str(address)).keep(encoder)
    vectors = kept(encoder, address)
    vectors[name] = np.roll(vectors[name], 1)
    put(encoder, address, vectors)


def put(encoder: Any, address: Path, vectors: dict[str, np.ndarray]) -> None:
    file = BytesIO()
    np.savez(file, names=np.array(list(vectors)), vectors=np.stack(list(vectors.values())))
    ArtefactStore(str(address)).put(f"golden/1/{encoder.fingerprint}", file.getvalue())
