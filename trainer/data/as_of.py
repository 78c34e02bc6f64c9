"""What was known when validation queries were asked: everything of before a day, nothing of it. Pure.

Coefficients and rankers say how much each part of the score helped those who asked. A part that knew what
others took afterwards would be believed too much. So each query is asked as of the first day of a period, by
the memory and the popularity of that day, which are those that a refresh would have served: held-out queries
among it, for what they are judged by came later. Only clients have no days: whose credit is believed is known
of all of them together (``remembered``).
"""

from collections.abc import Iterable

import polars as pl

from schemas.pairs import SINGLE_DAYS
from trainer.data.popularity import Popularity
from trainer.data.remembered import remembered
from trainer.data.weights import Weighting

PERIODS = 8


def asked_by_period(rows: pl.DataFrame, worth: Popularity, *, newest_day: int) -> pl.DataFrame:
    """Return what ``rows`` (columns of the snapshot's pairs) earned in each of ``PERIODS``, as ``asked``.

    Each period begins with a day and has about as many of the rows as the others. The first of several is
    left out: least was known then. So is what is ``SINGLE_DAYS`` old: it may be a sum over weeks, under one
    day. Empty in, empty out.
    """
    rows = rows.filter(pl.col("day") > newest_day - SINGLE_DAYS)
    days = rows["day"].sort().to_list()
    starts = sorted({days[n * len(days) // PERIODS] for n in range(PERIODS)}) if days else []
    ends = [*starts[1:], days[-1] + 1] if days else []
    own = [
        asked(rows.filter(pl.col("day") >= start, pl.col("day") < end), worth, as_of=start)
        for start, end in zip(starts, ends, strict=True)
    ]
    return pl.concat(own[1:] or own) if own else asked(rows, worth, as_of=0)


def asked(rows: pl.DataFrame, worth: Popularity, *, as_of: int) -> pl.DataFrame:
    """Return query, product_id, gain and as_of: what the rows earned, log2(1 + credit), sorted by pair."""
    earned = worth.credits_by_pair(rows)
    day = pl.lit(as_of, dtype=pl.Int32)
    return earned.select("query", "product_id", gain=(1 + pl.col("credit")).log(2), as_of=day)


def known_before(
    days: Iterable[int], rows: pl.DataFrame, clients: pl.DataFrame, weighting: Weighting
) -> pl.DataFrame:
    """Return what was to be remembered before each of the days: as ``remembered`` gives it, with ``as_of``.

    Credit is as old as it was then. No days give no rows.
    """
    own = [
        remembered(rows.filter(pl.col("day") < day), clients, weighting, newest_day=day - 1).with_columns(
            as_of=pl.lit(day, dtype=pl.Int32)
        )
        for day in sorted(days)
    ]
    nothing = remembered(rows.clear(), clients, weighting, newest_day=0)
    return pl.concat(own) if own else nothing.with_columns(as_of=pl.lit(0, dtype=pl.Int32))
