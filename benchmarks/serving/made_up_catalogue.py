"""Products without number: titles out of the halves of real ones, and random unit vectors. For cost alone."""

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import numpy.typing as npt

from schemas.products import CatalogProduct

_BLOCK = 1000

Vectors = npt.NDArray[np.float32]


def made_up_titles(titles: Sequence[Sequence[str]], count: int, seed: int) -> Iterator[list[str]]:
    """Yield so many titles as words: the first half of one, the second of another, and a number."""
    rng = Random(f"titles:{seed}")
    for number in range(count):
        first, second = rng.choice(titles), rng.choice(titles)
        half = (len(first) + 1) // 2
        yield [*first[:half], *second[len(second) // 2 :], f"{number:x}"]


def product_of(number: int, title: Sequence[str]) -> CatalogProduct:
    """Return a product; its id is the one by which ``made_up_memory.taken_after`` names its title."""
    return CatalogProduct(
        product_id=f"p{number:06}",
        title=" ".join(title),
        brand=title[0],
        category_path=["Shop", f"Kind {number % 200}"],
        price=float(5 + number % 500),
        availability="in_stock",
        attributes={"colour": title[-2], "weight": number % 50},
        version=1,
    )


def vectors_in_blocks(count: int, dim: int, seed: int) -> Iterator[Vectors]:
    """Yield (n, dim) unit rows, block after block; the same block from every call."""
    for start in range(0, count, _BLOCK):
        rng = np.random.default_rng((seed, start))
        block = rng.standard_normal((min(_BLOCK, count - start), dim), dtype=np.float32)
        yield block / np.linalg.norm(block, axis=1, keepdims=True)
