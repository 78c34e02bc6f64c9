"""A shop's click log, week by week, as the frames that the trainer works on.

A week is the ISO week of the click, as in ``replay_clicks``. Clicks on products that the catalogue lacks, and
empty queries, do not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

import polars as pl

from benchmarks.learning.judged import read_catalog
from benchmarks.learning.raw_clicks import read_clicks
from schemas.events import Action
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from trainer.data.popularity import Popularity
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.weights import Weighting, weigh

_EPOCH = date(1970, 1, 1).toordinal()
# The shop has clicks only: they are its metric. No client is known well enough to be limited.
SETTINGS = TrainerSettings(weight_click=1.0, heldout_share=0.0)


@dataclass(frozen=True)
class ClickLog:
    """``rows``: clicks per pair and day, as a snapshot has them, with their ``week``.

    ``catalog``: product_id, title, text.
    """

    rows: pl.DataFrame
    catalog: pl.DataFrame
    ignored: int

    @classmethod
    def read(cls, clicks: Path, products: Path) -> Self:
        """Read both files. Raises ``SystemExit`` with a sentence when no click is of a known product."""
        catalog, _ = read_catalog(products)
        known, counted, ignored = set(catalog["product_id"].to_list()), [], 0
        for click in read_clicks(clicks):
            query, when = normalise_query(click.query), datetime.fromisoformat(click.click_time)
            if query and str(click.product_id) in known:
                day = (when.astimezone(UTC) if when.tzinfo else when).date().toordinal() - _EPOCH
                counted.append((query, str(click.product_id), day, click.week))
            else:
                ignored += 1
        if not counted:
            raise SystemExit(f"{clicks} holds no click on a product of {products}")
        frame = pl.DataFrame(
            counted,
            schema={"query": pl.String, "product_id": pl.String, "day": pl.Int32, "week": pl.Int32},
            orient="row",
        )
        rows = (
            frame.group_by("query", "product_id", "day", "week")
            .len("clicks")
            .sort("query", "product_id", "day", "week")
        )
        filled = rows.select(
            "query",
            "product_id",
            "day",
            "week",
            action=pl.lit(Action.CLICK.value),
            credit=pl.col("clicks").cast(pl.Int64) * 1000,
            units=pl.lit(0, dtype=pl.Int64),
            revenue_minor=pl.lit(0, dtype=pl.Int64),
        )
        return cls(filled.select(*PAIR_SCHEMA, "week"), catalog, ignored)

    def weeks(self, first: int, last: int) -> Iterator[int]:
        """Yield the weeks to test. Raises ``SystemExit`` for one that has no clicks, or none before it."""
        there = set(self.rows["week"].to_list())
        for week in range(first, last + 1):
            if week not in there or not any(other < week for other in there):
                raise SystemExit(
                    f"week {week} cannot be tested: the file has clicks of weeks {min(there)} to {max(there)}"
                )
            yield week

    def pairs_before(
        self, week: int, *, new_from: int | None = None, settings: TrainerSettings = SETTINGS
    ) -> pl.DataFrame:
        """Return the weighted pairs of all weeks before this one.

        ``new`` marks those with a click in the weeks from ``new_from`` on.
        """
        rows = self.rows.filter(pl.col("week") < week)
        weighted = weigh(
            rows.drop("week"),
            pl.DataFrame(schema=CLIENT_SCHEMA),
            Weighting.as_counted(
                Popularity.of(settings),
                settings.weight_map,
                half_life_days=settings.half_life.total_seconds() / 86_400,
            ),
            newest_day=_day(rows),
        )
        if new_from is None:
            return weighted.with_columns(new=pl.lit(value=True))
        recent = (
            rows.filter(pl.col("week") >= new_from)
            .select("query", "product_id")
            .unique()
            .with_columns(new=pl.lit(value=True))
        )
        return weighted.join(
            recent, on=["query", "product_id"], how="left", maintain_order="left"
        ).with_columns(pl.col("new").fill_null(value=False))

    def gains(self, week: int) -> dict[str, dict[str, float]]:
        """Return log2(1 + clicks) of the week per query and product, sorted by query."""
        summed = (
            self.rows.filter(pl.col("week") == week)
            .group_by("query", "product_id")
            .agg(pl.col("credit").sum() / 1000)
        )
        gains: dict[str, dict[str, float]] = {}
        graded = summed.select("query", "product_id", gain=(1 + pl.col("credit")).log(2)).sort(
            "query", "product_id"
        )
        for query, product, gain in graded.iter_rows():
            gains.setdefault(query, {})[product] = gain
        return gains

    def first_days(self, week: int) -> dict[str, int]:
        """Return the day of the week on which each of its queries was first clicked after."""
        rows = self.rows.filter(pl.col("week") == week)
        return dict(rows.group_by("query").agg(pl.col("day").min()).iter_rows())

    def queries_before(self, week: int) -> set[str]:
        """Return the queries with a click in any earlier week."""
        return set(self.rows.filter(pl.col("week") < week)["query"].to_list())


def _day(rows: pl.DataFrame) -> int:
    newest = rows["day"].max()
    assert isinstance(newest, int)
    return newest
