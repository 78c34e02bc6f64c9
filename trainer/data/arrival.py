"""Which trained credit came late: dated to days that an earlier run had already seen whole.

Decides; reads the files of earlier runs. The day of an event is what its sender says it is; when it was first
seen is what the files of earlier runs say. What a pair has earned on such a day since then counts only from a
week later on, as what is sent in time does: a burst that is dated back gains nothing by it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from schemas.pairs import SINGLE_DAYS
from trainer.data.prepared import Prepared
from trainer.run.folder import MarkerError, RunFolder

KNOWN_DAYS = 7  # what a run saw so long ago counts, whenever it came
MAX_LATE = 0.2  # of all credit: more is history that was imported, and counts
KEYS = ("query", "product_id", "day", "action")


class Earlier(NamedTuple):
    """A run of before: the newest event day it knew, and its pairs as a file.

    The file has the columns of ``snapshot.PAIR_SCHEMA``.
    """

    newest_day: int
    pairs: Path


def earlier_runs(runs: Path, *, but: Path | None = None) -> Iterator[Earlier]:
    """Yield what the runs below a folder knew of the days before them."""
    for folder in runs.iterdir() if runs.is_dir() else ():
        pairs = folder / "snapshot" / "pairs.parquet"
        with suppress(MarkerError):
            prepared = RunFolder(folder).find("split", Prepared) if folder != but else None
            if prepared is not None and pairs.is_file():
                yield Earlier(prepared.newest_day, pairs)


def in_time(
    rows: pl.DataFrame, earlier: Sequence[Earlier], *, newest_day: int, settled_days: int
) -> pl.DataFrame:
    """Return the rows, sorted, with no more credit on a day than the first run knew.

    The first for which the day was ``settled_days`` old. ``rows``: columns of the snapshot's pairs. What was
    taken back late stays taken back. Days of before ``SINGLE_DAYS`` are left as they are: they may be sums.
    ``settled_days`` 0, no earlier run, or more than ``MAX_LATE`` of all credit late: the rows as they are.
    """
    judges = _judges(earlier, newest_day)
    if not settled_days or not judges or rows.is_empty():
        return rows
    parts, seen = [rows.filter(pl.col("day") <= newest_day - SINGLE_DAYS)], newest_day - SINGLE_DAYS
    for run in judges:
        through = run.newest_day - settled_days
        own = rows.filter(pl.col("day") > seen, pl.col("day") <= through)
        if own.height:
            parts.append(_at_most(own, pl.read_parquet(run.pairs, columns=[*KEYS, "credit"])))
        seen = max(seen, through)
    kept = pl.concat([*parts, rows.filter(pl.col("day") > seen)]).sort(*KEYS)
    before, after = (float(frame.filter(pl.col("credit") > 0)["credit"].sum() or 0) for frame in (rows, kept))
    return rows if before - after > MAX_LATE * before else kept


def _judges(earlier: Sequence[Earlier], newest_day: int) -> list[Earlier]:
    """Return the newest run of a week ago and those after it, one for each day, in their order."""
    by_day = {run.newest_day: run for run in sorted(earlier, reverse=True) if run.newest_day < newest_day}
    old = max((day for day in by_day if day <= newest_day - KNOWN_DAYS), default=newest_day - SINGLE_DAYS)
    return [by_day[day] for day in sorted(by_day) if day >= old]


def _at_most(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(known.rename({"credit": "then"}), on=KEYS, how="left").with_columns(
        share=pl.min_horizontal(
            pl.col("then").fill_null(0).clip(lower_bound=0) / pl.col("credit"), pl.lit(1.0)
        )
    )
    counts = pl.when(pl.col("credit") > 0).then(pl.col("share")).otherwise(1.0)
    scaled = [
        (pl.col(name) * counts).round().cast(rows.schema[name]).alias(name)
        for name in ("credit", "units", "revenue_minor")
    ]
    return (
        joined.with_columns(*scaled)
        .filter(pl.any_horizontal(pl.col("credit", "units", "revenue_minor") != 0))
        .select(rows.columns)
    )
