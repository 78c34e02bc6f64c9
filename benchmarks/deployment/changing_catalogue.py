"""A small catalogue under constant change: prices, titles, deletions, returns.

It knows what is deleted since when. Probes are products that never change, titled like nothing else: each
must find itself, or query and index did not fit.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from broker.producing import Producer
from broker.records import Outgoing
from retrieval.document import document_text
from schemas.products import CatalogProduct

COLOURS = ("red", "black", "silver", "green", "blue", "white", "amber", "violet")
THINGS = (
    "hdmi cable", "running shoes", "garden hose", "espresso machine", "wireless mouse", "yoga mat",
    "desk lamp", "rain jacket", "cordless drill", "wool blanket", "laptop sleeve", "bread knife",
)  # fmt: skip
PROBES = tuple(f"{colour} {thing}" for colour in COLOURS[:4] for thing in THINGS)
BACK_AFTER_S = 4.0
MOST_GONE = 0.2


@dataclass
class Catalogue:
    """Products by id as the topic ``catalog`` has them.

    ``deleted`` maps id to the moment the deletion was acknowledged.
    """

    products: dict[str, CatalogProduct] = field(default_factory=dict)
    deleted: dict[str, float] = field(default_factory=dict)
    last_titles: dict[str, str] = field(default_factory=dict)
    changes: int = 0

    def texts(self) -> list[str]:
        """Return the different document texts."""
        return sorted({document_text(p) for p in self.products.values()})


def a_catalogue(products: int) -> Catalogue:
    """Return the probes, and so many products that change."""
    catalogue = Catalogue()
    for number, title in enumerate(PROBES):
        catalogue.products[f"probe{number:03d}"] = CatalogProduct(
            product_id=f"probe{number:03d}", title=title, version=1
        )
    for number in range(products):
        product_id = f"p{number:05d}"
        catalogue.products[product_id] = _product(product_id, 1, 1)
        catalogue.last_titles[product_id] = catalogue.products[product_id].title
    return catalogue


class Churn:
    """Changes the catalogue ``per_s`` times a second.

    6 of 10 a price, 2 a title, 1 a deletion, 1 brings the longest gone one back.
    """

    def __init__(
        self, catalogue: Catalogue, producer: Producer, topic: str, *, per_s: float, seed: int
    ) -> None:
        self._catalogue = catalogue
        self._producer = producer
        self._topic = topic
        self._per_s = per_s
        self._rng = np.random.default_rng(seed)
        self._versions: dict[str, int] = {i: p.version for i, p in catalogue.products.items()}

    async def run(self, stopping: asyncio.Event) -> None:
        """Change until ``stopping``."""
        due = time.monotonic()
        while not stopping.is_set():
            due += 1 / self._per_s
            await self._change()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _change(self) -> None:
        catalogue = self._catalogue
        catalogue.changes += 1
        kind = int(self._rng.integers(10))
        there = [i for i in catalogue.products if not i.startswith("probe")]
        if kind == 9 and catalogue.deleted:
            product_id = min(catalogue.deleted, key=lambda i: catalogue.deleted[i])
            if time.monotonic() - catalogue.deleted[product_id] >= BACK_AFTER_S:
                del catalogue.deleted[product_id]  # before it is sent: from now on it may be found again
                await self._put(product_id, new_title=True)
                return
        product_id = there[int(self._rng.integers(len(there)))]
        if kind == 8 and len(catalogue.deleted) < MOST_GONE * len(there):
            del catalogue.products[product_id]
            await self._producer.send(Outgoing(self._topic, None, key=product_id.encode()))
            catalogue.deleted[product_id] = time.monotonic()
        else:
            await self._put(product_id, new_title=kind in {6, 7})

    async def _put(self, product_id: str, *, new_title: bool) -> None:
        catalogue = self._catalogue
        version = self._versions[product_id] = self._versions[product_id] + 1
        wording = version if new_title else None
        product = _product(product_id, version, wording, catalogue.last_titles[product_id])
        catalogue.products[product_id] = product
        catalogue.last_titles[product_id] = product.title
        await self._producer.send(Outgoing(self._topic, product.to_json(), key=product_id.encode()))


def differences(catalogue: Mapping[str, CatalogProduct], rows: Mapping[str, tuple[int, str]]) -> int:
    """Return how many products a collection lacks, has too many of, or holds in an older form.

    ``rows``: id to version and title.
    """
    wrong = sum(rows.get(i) != (p.version, p.title) for i, p in catalogue.items())
    return wrong + len(rows.keys() - catalogue.keys())


def _product(product_id: str, version: int, wording: int | None, title: str = "") -> CatalogProduct:
    number = int(product_id[1:])
    if wording is not None:
        title = (
            f"{COLOURS[(number + wording) % len(COLOURS)]} {THINGS[number % len(THINGS)]} type {number} "
            f"mark {wording}"
        )
    return CatalogProduct(
        product_id=product_id, title=title, price=float(1 + (number + version) % 97), version=version
    )
