"""A simulated shop's pairs with made up clients among them.

Who they are, what they do, and what honest newcomers do beside them. All attacks are planted into one
history: each has a head query of its own and a product that has nothing to do with it. What is made up is
dated back over the days that are trained, as its sender likes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from schemas.events import Action
from schemas.pairs import MAX_CLIENTS, client_of
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA, Snapshot

Pattern = Literal["control", "plain", "one_client", "cover", "broad", "campaign"]
COUNTS = (1, 3, 10, 30, 60, 100, 300)
ELSEWHERE = {"cover": 1, "broad": 8}  # other engagements of each made up client, with what others engage too
ORDERS = 40  # of the one client
CAMPAIGN = 30  # honest new shoppers whom an advertisement brings
# (pattern, made up clients); each is tried on several queries
ARMS: tuple[tuple[Pattern, int], ...] = (
    ("control", 0),
    *(("plain", count) for count in COUNTS),
    ("one_client", 1),
    *(("cover", count) for count in (30, 60, 300)),
    *(("broad", count) for count in (30, 60, 300)),
    ("campaign", CAMPAIGN),
)


@dataclass(frozen=True)
class PoisonAttack:
    """Clients who buy ``product_id`` after ``query``.

    A campaign's are honest: the product suits the query.
    """

    pattern: Pattern
    clients: int
    query: str
    product_id: str


def choose(snapshot: Snapshot, train: pl.DataFrame, *, each: int, seed: int) -> list[PoisonAttack]:
    """Return ``each`` attacks per arm, on the queries with the most trained clients.

    In an order that the seed shuffles.
    """
    rng = np.random.default_rng(seed)
    trained = train.select("query").unique()
    crowded = (
        snapshot.clients.join(trained, on="query")
        .group_by("query")
        .agg(n=pl.col("client").n_unique())
        .sort("n", "query")
    )
    heads = crowded.tail(len(ARMS) * each)["query"].to_list()
    if len(heads) < len(ARMS) * each:
        raise SystemExit(
            f"{len(heads)} trained queries are too few for {len(ARMS) * each} attacks: more sessions are "
            "needed"
        )
    category = dict(snapshot.catalog.select("product_id", "category").iter_rows())
    engaged: dict[str, list[str]] = defaultdict(list)
    for query, product_id in (
        snapshot.pairs.select("query", "product_id").unique().sort("query", "product_id").iter_rows()
    ):
        engaged[query].append(product_id)
    free = rng.permutation(snapshot.catalog["product_id"].to_list()).tolist()
    attacks = []
    for (pattern, clients), query in zip(
        [arm for arm in ARMS for _ in range(each)], rng.permutation(heads).tolist(), strict=True
    ):
        own = {category.get(product_id, "") for product_id in engaged[query]}
        if pattern == "campaign":
            product_id = engaged[query][int(rng.integers(len(engaged[query])))]
        else:
            product_id = next(p for p in free if category[p] not in own)
            free.remove(product_id)
        attacks.append(PoisonAttack(pattern, clients, query, product_id))
    return attacks


def attacked(
    snapshot: Snapshot, attacks: Sequence[PoisonAttack], *, days: Sequence[int], seed: int
) -> Snapshot:
    """Return the snapshot as the stream would hold it after the attacks.

    One order for each client, its day one of ``days``.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, int, str, int]] = []
    clients: list[tuple[str, str, str, int]] = []
    popular = (
        snapshot.clients.group_by("query", "product_id")
        .agg(n=pl.len())
        .sort("n", "query", "product_id")
        .tail(200)
    )
    others = list(popular.select("query", "product_id").iter_rows())
    for number, attack in enumerate(attacks):
        orders = ORDERS if attack.pattern == "one_client" else 1
        for person in range(attack.clients):
            client = client_of(f"made up {seed} {number} {person}")
            clients.append((attack.query, attack.product_id, client, 1000 * orders))
            bought = rng.choice(days, orders).tolist()
            rows += [(attack.query, attack.product_id, day, Action.PURCHASE.value, 1) for day in bought]
            for other in rng.choice(len(others), ELSEWHERE.get(attack.pattern, 0), replace=False).tolist():
                clients.append((*others[other], client, 1000))
                rows.append((*others[other], int(rng.choice(days)), Action.CLICK.value, 1))
    return Snapshot(
        _with_rows(snapshot.pairs, rows), _with_clients(snapshot.clients, clients), snapshot.catalog
    )


def _with_rows(pairs: pl.DataFrame, rows: Sequence[tuple[str, str, int, str, int]]) -> pl.DataFrame:
    made = [(query, product_id, day, action, 1000 * n, n, 0) for query, product_id, day, action, n in rows]
    keys = ("query", "product_id", "day", "action")
    both = pl.concat([pairs, pl.DataFrame(made, schema=PAIR_SCHEMA, orient="row")])
    return both.group_by(*keys).agg(pl.col("credit", "units", "revenue_minor").sum()).sort(*keys)


def _with_clients(clients: pl.DataFrame, made: Sequence[tuple[str, str, str, int]]) -> pl.DataFrame:
    keys = ("query", "product_id")
    both = pl.concat([clients, pl.DataFrame(made, schema=CLIENT_SCHEMA, orient="row")])
    summed = both.group_by(*keys, "client").agg(pl.col("credit").sum()).sort(*keys, "client")
    return summed.group_by(*keys, maintain_order=True).head(MAX_CLIENTS)
