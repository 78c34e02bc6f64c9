"""Data for the trainer's tests.

Pairs of messages, and a small shop whose shoppers use words that no catalogue has.
"""

from collections.abc import Mapping

import polars as pl

from broker.topics import ensure_topics
from schemas.events import Action
from schemas.formula import parse
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.releases import LivePointer, Release, ReleaseState
from schemas.settings import METRICS, TrainerSettings
from schemas.topics import CATALOG, PAIRS
from tests.topics import write
from trainer.data.popularity import Popularity
from trainer.data.snapshot import Snapshot, frames
from trainer.data.weights import Weighting, weigh

WORTH = Popularity(parse("clicks + purchases", METRICS))
_KINDS = ("kettle", "lamp", "chair", "drill", "tent", "piano", "mirror", "carpet")
_WORDS = ("zorvel", "quimba", "trefop", "glanix", "bruvok", "meltar", "sindro", "wokkel")
_FORMS = ("{}", "{} cheap", "best {}", "{} online", "new {}", "buy {}")


def a_pair(
    query: str, product_id: str, days: Mapping[int, int], *, action: Action = Action.CLICK, clients: int = 3
) -> Pair:
    """``days`` maps the event day to whole credits; they are spread evenly over the clients."""
    total = sum(days.values()) * 1000
    return Pair(
        query=query,
        product_id=product_id,
        days={day: {action: (credit * 1000, credit, 0)} for day, credit in days.items()},
        clients={f"{n:016x}": total // clients for n in range(clients)},
    )


def weighed(snapshot: Snapshot) -> pl.DataFrame:
    """The pairs of a snapshot as counted: without decay, limits and trust."""
    return weigh(
        snapshot.pairs,
        snapshot.clients,
        Weighting.as_counted(WORTH, "log", half_life_days=1e9),
        newest_day=100,
    )


def a_product(product_id: str, title: str) -> CatalogProduct:
    return CatalogProduct(product_id=product_id, title=title, version=1)


def a_shop(*, days: int = 10) -> Snapshot:
    """Eight kinds of products.

    Shoppers call each kind by a word of their own, which only their clicks explain.
    """
    products = [
        a_product(f"p{k}-{n}", f"{kind} model {n}") for k, kind in enumerate(_KINDS) for n in range(3)
    ]
    pairs = [
        a_pair(form.format(word), f"p{k}-{n}", dict.fromkeys(range(100, 100 + days), 1 + n))
        for k, word in enumerate(_WORDS)
        for form in _FORMS
        for n in range(2)
    ]
    return frames(pairs, products)


def texts_of(shop: Snapshot) -> dict[str, str]:
    return dict(shop.catalog.select("product_id", "text").iter_rows())


def no_clients() -> pl.DataFrame:
    return frames([], []).clients


async def fill_topics(settings: TrainerSettings, shop: Snapshot) -> None:
    """Write the shop's catalogue and pairs, as the stream would have."""
    catalog = [a_product(*row) for row in shop.catalog.select("product_id", "title").iter_rows()]
    days: dict[tuple[str, str], dict[int, int]] = {}
    for query, product, day, _, credit, *_ in shop.pairs.iter_rows():
        days.setdefault((query, product), {})[day] = credit // 1000
    pairs = [a_pair(query, product, by) for (query, product), by in days.items()]
    await ensure_topics(settings)
    await write(settings, CATALOG.name, *((p.product_id.encode(), p.to_json()) for p in catalog))
    await write(settings, PAIRS.name, *((pair_key(p.query, p.product_id), p.to_json()) for p in pairs))


def a_pointer(generation: int, model: str, **fields: object) -> LivePointer:
    release = Release(
        generation=generation,
        model=model,
        model_sha256="0" * 64,
        dim=384,
        collection=f"c{generation}",
        state=ReleaseState.RELEASED,
        run_id=fields.pop("run_id", None),
    )
    return LivePointer(sequence=generation, live=release, cause="promote", **fields)
