"""The step ``split`` of a run: from a snapshot to the files that training and evaluation read.

Pure decisions, files in between.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from schemas.training import RunState
from trainer.data.arrival import Earlier, in_time
from trainer.data.as_of import asked_by_period, known_before
from trainer.data.popularity import Popularity
from trainer.data.prepared import Prepared
from trainer.data.remembered import remembered
from trainer.data.snapshot import Snapshot
from trainer.data.splits import split_by
from trainer.data.weights import Weighting, log_popularity, shuffle_labels, weigh
from trainer.learning.plan import choose_start, lineage_of
from trainer.run.folder import RunEndedError, RunOutcome
from trainer.run.request import Request


def prepare(
    request: Request, snapshot: Snapshot, live_model: Path, folder: Path, earlier: Sequence[Earlier] = ()
) -> Prepared:
    """Write ``train``, ``known``, ``weighted``, ``remembered``, ``qrels`` and ``inner`` (Parquet).

    They go into ``folder``. ``weighted`` are the training pairs as counted, without what came late by the
    runs ``earlier``; ``train`` is the same unless labels are shuffled. ``remembered``: what the memory is
    made of; nothing where labels are shuffled. ``asked`` and ``remembered_then``: to what coefficients are
    fitted, and what was remembered when it was asked (``data.as_of``). ``known``: all engagement before the
    cut, and how popular its products are. Raises ``RunEndedError`` (skipped) when there are too few pairs;
    force goes on with any pair at all.
    """
    settings = request.settings
    parts = split_by(settings, snapshot)
    train_rows, before = (
        in_time(rows, earlier, newest_day=parts.newest_day, settled_days=settings.settled_days)
        for rows in (parts.train, parts.before)
    )
    weighted = weigh(train_rows, snapshot.clients, Weighting.of(settings), newest_day=parts.newest_day)
    if weighted.height < (1 if request.force else settings.min_train_pairs):
        detail = f"{weighted.height} pairs to train on, at least {settings.min_train_pairs} are needed"
        raise RunEndedError(RunOutcome(state=RunState.SKIPPED, detail=detail))
    seed = request.label_shuffle_seed
    train = weighted if seed is None else shuffle_labels(weighted, seed)
    lineage = lineage_of(live_model)
    new = pl.col("last_day") >= (lineage.cut_day if lineage else 0)
    start, why = choose_start(
        request.base,
        lineage,
        cut_day=parts.cut_day,
        heldout_share=settings.heldout_share,
        new_pairs=train.filter(new).height,
        full_every=settings.full_every,
    )
    train = train.with_columns(new=new if start == "live" else pl.lit(value=True))
    weighting, clients = Weighting.of(settings), snapshot.clients
    asked = asked_by_period(parts.untaught, weighting.worth, newest_day=parts.newest_day)
    kept = remembered(train_rows, clients, weighting, newest_day=parts.cut_day - 1)
    then = known_before(asked["as_of"].unique().to_list(), before, clients, weighting)
    frames = {
        "train": train,
        "remembered": kept if seed is None else kept.clear(),
        "asked": asked,
        "remembered_then": then if seed is None else then.clear(),
        "known": _known(train if seed is not None else Popularity.of(settings).credits_by_pair(parts.train)),
        "weighted": weighted,
        "qrels": parts.qrels,
        "inner": parts.inner,
    }
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return Prepared(
        newest_day=parts.newest_day,
        cut_day=parts.cut_day,
        test_days=parts.test_days,
        new_pairs=int(train["new"].sum()),
        old_pairs=train.height - int(train["new"].sum()),
        test_queries=parts.qrels["query"].n_unique(),
        start=start,
        why=why,
        late_rows=_rows_left_out(parts.train, train_rows),
    )


def _known(engaged: pl.DataFrame) -> pl.DataFrame:
    """Return every pair that was engaged with, and how popular its product is."""
    return engaged.select("query", "product_id").join(
        log_popularity(engaged), on="product_id", how="left", maintain_order="left"
    )


def _rows_left_out(rows: pl.DataFrame, taken: pl.DataFrame) -> int:
    return rows.join(taken, on=["query", "product_id", "day", "action", "credit"], how="anti").height
