"""An operator's own judgments, as a run keeps and scores them.

Read from the topic ``judgments`` when the snapshot is taken, and kept beside it: ``judgments.parquet`` with
set, query, product_id and relevance. Relevance 0 means not relevant, more is the gain of the product.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl

from broker.reading import Compacted, read_compacted
from schemas.base import UNREADABLE
from schemas.judged_queries import RatedQuery, judged_key
from schemas.settings import TrainerSettings, named
from schemas.topics import JUDGMENTS

FILE = "judgments.parquet"
SCHEMA = pl.Schema({"set": pl.String, "query": pl.String, "product_id": pl.String, "relevance": pl.Float64})
OF_ONE = pl.Schema({name: kind for name, kind in SCHEMA.items() if name != "set"})


class JudgmentsError(ValueError):
    """A set that the settings name is not on the topic."""


def take(settings: TrainerSettings, folder: Path) -> None:
    """Read the sets that runs score into ``folder``. Raises ``JudgmentsError``."""
    state = asyncio.run(read_compacted(settings, settings.topic(JUDGMENTS.name)))
    chosen(frame_of(judged_in(state)), named(settings.judgments)).write_parquet(folder / FILE)


def judged_in(state: Compacted) -> Iterator[RatedQuery]:
    """Yield what can be read and lies under its own key; another's would be told twice."""
    for key, record in state.records.items():
        try:
            judged = RatedQuery.from_json(record.value or b"")
        except UNREADABLE:
            continue
        if judged_key(judged.name, judged.query) == key:
            yield judged


def frame_of(judged: Iterable[RatedQuery]) -> pl.DataFrame:
    """Return judgments as rows, sorted; none give no rows."""
    rows = [(one.name, one.query, *rating) for one in judged for rating in one.ratings.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("set", "query", "product_id")


def rows_of(ratings: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    """Return the ratings of one set, by query and product, as rows of query, product_id, relevance."""
    rows = [(query, *rating) for query, rated in ratings.items() for rating in rated.items()]
    return pl.DataFrame(rows, schema=OF_ONE, orient="row").sort("query", "product_id")


def chosen(judgments: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return the sets of these names, without names every set.

    Raises ``JudgmentsError`` where one has no judgment: a gate must not pass because its evidence is gone.
    """
    if not (names := list(names)):
        return judgments
    found = judgments.filter(pl.col("set").is_in(names))
    if missing := sorted({*names} - {*found["set"]}):
        raise JudgmentsError(
            f"SEARCHLOOP_JUDGMENTS names the set {missing[0]!r}, and the topic has no judgment of it"
        )
    return found


def kept_sets(snapshot: Path) -> dict[str, pl.DataFrame]:
    """Return the sets of a snapshot by name: query, product_id, relevance.

    One that an earlier version took has none.
    """
    if not (snapshot / FILE).is_file():
        return {}
    every = pl.read_parquet(snapshot / FILE)
    return {str(name): own.drop("set") for (name,), own in every.group_by("set", maintain_order=True)}


def qrels_of(judgments: pl.DataFrame, trained: pl.DataFrame) -> pl.DataFrame:
    """Return judgments (query, product_id, relevance) as qrels.

    Columns: query, product_id, credit and gain (both the relevance), unseen (the query has no pair in
    ``trained``). A query of which no product is relevant can be ranked neither right nor wrong, and has none.
    """
    seen = trained["query"].unique().to_list()
    relevant = judgments.filter(pl.col("relevance") > 0)
    return relevant.select(
        "query", "product_id", credit="relevance", gain="relevance", unseen=~pl.col("query").is_in(seen)
    )
