"""Files of products and of graded judgments, as the frames that the trainer works on.

The least relevance of a file with several grades means "not relevant": what is above it is the credit of a
training pair and the gain of a test pair. Texts go the way of the stream: cleaned, queries normalised,
refused products left out and counted.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from benchmarks.harness.report import read_jsonl
from broker.records import Record
from inbound.validation import validate_product
from retrieval.document import document_text
from schemas.events import Action
from schemas.products import CatalogProduct
from schemas.settings import StreamSettings, TrainerSettings
from schemas.text import normalise_query
from trainer.data.popularity import Popularity
from trainer.data.snapshot import CATALOG_SCHEMA, CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.splits import held_out
from trainer.data.weights import Weighting, weigh
from trainer.evaluation.segments import thin

_DAY = 1


def read_catalog(path: Path) -> tuple[pl.DataFrame, int]:
    """Return the catalogue (product_id, title, text), one row per id, and how many lines were refused."""
    rows, refused = {}, 0
    for number, row in enumerate(read_jsonl(path)):
        record = Record(
            "products",
            0,
            number,
            0,
            str(row.get("product_id")).encode(),
            json.dumps(row, ensure_ascii=False).encode(),
        )
        product = validate_product(record, StreamSettings())
        if isinstance(product, CatalogProduct):
            rows[product.product_id] = (product.product_id, product.title, document_text(product))
        else:
            refused += 1
    return pl.DataFrame(list(rows.values()), schema=CATALOG_SCHEMA, orient="row").sort("product_id"), refused


@dataclass(frozen=True)
class Judged:
    """What is trained (``weighted``, ``known``) and what is tested (``qrels``).

    ``inner`` is what the words are fitted on.
    """

    weighted: pl.DataFrame
    known: pl.DataFrame
    inner: pl.DataFrame
    qrels: pl.DataFrame

    @classmethod
    def read(
        cls, path: Path, products: set[str], settings: TrainerSettings, *, limit: int | None = None
    ) -> Self:
        """Divide a file by its own ``split``; a stable share of the training queries is never trained.

        ``limit``: queries of each side. A query of both sides is tested, not trained. Judgments of products
        that the catalogue lacks do not count.
        """
        rows = [
            (
                normalise_query(row["query"]),
                str(row["product_id"]),
                float(row["relevance"]),
                str(row["split"]),
            )
            for row in read_jsonl(path)
        ]
        judged = pl.DataFrame(
            rows,
            schema={"query": pl.String, "product_id": pl.String, "relevance": pl.Float64, "split": pl.String},
            orient="row",
        )
        judged = judged.filter(pl.col("query") != "", pl.col("product_id").is_in(list(products)))
        grades = judged["relevance"].unique().sort().to_list()
        least = grades[0] if len(grades) > 1 else 0.0
        judged = judged.with_columns(gain=pl.col("relevance") - least).filter(pl.col("gain") > 0)
        judged = (
            judged.group_by("query", "product_id", "split")
            .agg(pl.col("gain").max())
            .sort("query", "product_id")
        )
        test = _limited(judged.filter(pl.col("split") == "test"), limit)
        train = _limited(judged.filter(pl.col("split") != "test").join(test, on="query", how="anti"), limit)
        never = [
            query for query in train["query"].unique().to_list() if held_out(query, settings.heldout_share)
        ]
        untaught = pl.col("query").is_in(never)
        taught = train.filter(~untaught)
        return cls(
            weighted=weigh_as_purchases(taught, settings),
            known=taught.select("query", "product_id"),
            inner=train.filter(untaught),
            qrels=test.with_columns(
                credit=pl.col("gain"), unseen=~pl.col("query").is_in(taught["query"].unique().to_list())
            ),
        )


def weigh_as_purchases(pairs: pl.DataFrame, settings: TrainerSettings) -> pl.DataFrame:
    """Return training pairs (query, product_id, credit, last_day, weight).

    Their ``gain`` is taken as so many purchases of one day.
    """
    rows = pairs.select(
        "query",
        "product_id",
        day=pl.lit(_DAY),
        action=pl.lit(Action.PURCHASE.value),
        credit=(pl.col("gain") * 1000).round().cast(pl.Int64),
        units=pl.lit(1),
        revenue_minor=pl.lit(0),
    ).cast(pl.Schema(PAIR_SCHEMA))
    return weigh(
        rows,
        pl.DataFrame(schema=CLIENT_SCHEMA),
        Weighting.as_counted(Popularity.of(settings), settings.weight_map, half_life_days=1.0),
        newest_day=_DAY,
    )


def _limited(rows: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    return (
        rows
        if limit is None
        else rows.join(thin(rows.select("query").unique(), limit), on="query", how="semi")
    )
