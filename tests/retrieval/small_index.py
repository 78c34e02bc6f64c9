"""A small catalogue of unit vectors, and a collection filled with it as a build does it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from retrieval.index import Row, VectorStore

DIM = 16
CATEGORIES = ["Electronics", "Electronics > Cables", "Electronics2"]
BRANDS = ["Sony", 'A "q" \\x', "Müller"]


def unit(n: int, seed: int = 0, dim: int = DIM) -> npt.NDArray[np.float32]:
    raw = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def catalogue(n: int = 60, generation: int = 1) -> list[Row]:
    return [
        Row(
            f"p{i:04d}",
            v,
            generation,
            f"title {i}",
            BRANDS[i % 3],
            CATEGORIES[i % 3],
            None if i % 5 == 0 else i * 1.5,
            "in_stock",
            i,
        )
        for i, v in enumerate(unit(n))
    ]


def fill(store: VectorStore, name: str, rows: Sequence[Row], dim: int = DIM) -> None:
    store.create(name, dim)
    store.upsert(name, rows)
    store.flush(name)
    store.build_index(name)
    store.load(name)
