"""What all pairs up to now say: for a refresh, which trains nothing and so holds nothing back. Pure.

What would be served remembers every pair that counts. What is judged with remembers neither the newest days
nor the held-out queries, as in a training run: coefficients that knew the answers would say nothing. Half of
the newest days' queries, by a stable hash, fit beside the held-out ones of before, each as of its own day
(``as_of``); the others judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import polars as pl

from schemas.settings import TrainerSettings
from trainer.data.arrival import Earlier, in_time
from trainer.data.as_of import asked_by_period, known_before
from trainer.data.popularity import Popularity
from trainer.data.remembered import remembered
from trainer.data.snapshot import Snapshot
from trainer.data.splits import split_by
from trainer.data.weights import Weighting, weigh


@dataclass(frozen=True)
class UpToNow:
    """``everything`` is what would be served, ``left_out`` what is judged with.

    Both are as ``remembered`` gives them. ``weighted``: all pairs with the credit that counts. ``validation``
    (as ``as_of.asked``) is fitted to, by what was ``known`` then (as ``as_of.known_before``); none of its
    queries is in ``test``, which has the columns of ``Split.qrels``. ``cut_day`` is the first day that
    ``left_out`` does not know.
    """

    everything: pl.DataFrame
    left_out: pl.DataFrame
    weighted: pl.DataFrame
    validation: pl.DataFrame
    known: pl.DataFrame
    test: pl.DataFrame
    cut_day: int

    @classmethod
    def of(cls, settings: TrainerSettings, snapshot: Snapshot, earlier: Sequence[Earlier]) -> Self:
        """Divide the pairs of known products; ``earlier`` runs say what came late."""
        parts, weighting = split_by(settings, snapshot), Weighting.of(settings)
        newest, clients = parts.newest_day, snapshot.clients
        known = pl.col("product_id").is_in(snapshot.catalog["product_id"].to_list())
        worth = pl.col("action").is_in(Popularity.of(settings).actions)
        every, before, train = (
            in_time(rows, earlier, newest_day=newest, settled_days=settings.settled_days)
            for rows in (snapshot.pairs.filter(known, worth), parts.before, parts.train)
        )
        fits = [query for query in parts.qrels["query"].unique().to_list() if _fits(query)]
        judges, as_of = ~pl.col("query").is_in(fits), pl.lit(parts.cut_day, dtype=pl.Int32)
        newly = parts.qrels.filter(~judges).select("query", "product_id", "gain", as_of=as_of)
        held_out = asked_by_period(parts.untaught, Popularity.of(settings), newest_day=newest)
        judged = parts.qrels.filter(judges)["query"].to_list()
        validation = pl.concat([held_out, newly]).filter(~pl.col("query").is_in(judged))
        return cls(
            remembered(every, clients, weighting, newest_day=newest),
            remembered(train, clients, weighting, newest_day=parts.cut_day - 1),
            weigh(every, clients, weighting, newest_day=newest),
            validation,
            known_before(validation["as_of"].unique().to_list(), before, clients, weighting),
            parts.qrels.filter(judges),
            parts.cut_day,
        )


def _fits(query: str) -> bool:
    return bool(blake2b(query.encode(), digest_size=1, salt=b"refit").digest()[0] & 1)
