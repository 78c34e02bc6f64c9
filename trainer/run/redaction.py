"""Take a forgotten client out of the files of an ended run.

Its rows, and the text of queries in which nobody else stood. Which pairs were its alone is read from the
run's own snapshot. What the operator wrote (pinned queries, judgments) stays, and so do the model, the
ranker, and the memory of a run that was deployed. The verdict can then no longer be derived again;
``forgotten.json`` says why.
"""

import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from artefacts.folders import KINDS_OF_RUNS
from schemas.training import REPORT, RunState
from trainer.run.folder import MarkerError, RunFolder, write_durably

MARKER = "forgotten"
_OWN = ("judgments", "pinned")


class Forgotten(BaseModel):
    """What has been taken out of a run so far, and when last; it names nobody."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    rows: int
    files: list[str]


@dataclass
class Rewritten:
    """``runs``: whose files were rewritten.

    ``unfinished``: runs that are still going, whose files may name the client.
    """

    runs: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def forget_in_runs(data_dir: Path, clients: Collection[str], *, at: datetime) -> Rewritten:
    """Take the clients, by their hashes, out of every run below the directory.

    What was fetched of other machines' runs is removed; the trainer removes it from the store, and a run that
    still goes on puts nothing there. May be repeated; killed in between it begins again.
    """
    done = Rewritten()
    for kind in KINDS_OF_RUNS:
        shutil.rmtree(data_dir / "cache" / kind, ignore_errors=True)
    for path in sorted((data_dir / "runs").glob("*/snapshot/clients.parquet")):
        run = RunFolder(path.parents[1])
        if run.outcome() is None:
            done.unfinished.append(run.path.name)
        elif forget_in(run, clients, at=at):
            done.runs.append(run.path.name)
    return done


def forget_in(run: RunFolder, clients: Collection[str], *, at: datetime) -> int:
    """Take the clients out of an ended run; return how many rows went, 0 when it names none of them."""
    source = run.path / "snapshot" / "clients.parquet"
    every = pl.read_parquet(source)
    named = every.filter(pl.col("client").is_in(list(clients)))
    if named.is_empty():
        return 0
    rest = every.filter(~pl.col("client").is_in(list(clients)))
    key = ["query", "product_id"]
    alone = named.select(key).unique().join(rest, on=key, how="anti")
    pairs = pl.read_parquet(run.path / "snapshot" / "pairs.parquet").join(alone, on=key, how="anti")
    silent = alone.select("query").unique().join(pairs, on="query", how="anti")
    rows, files = named.height, []
    for path in _of_shoppers(run.path):
        frame = pl.read_parquet(path)
        left = (
            frame.join(alone, on=key, how="anti", maintain_order="left")
            if "product_id" in frame.columns
            else frame
        )
        if "client" in frame.columns:
            left = left.filter(~pl.col("client").is_in(list(clients)).fill_null(value=False))
        left = left.join(silent, on="query", how="anti", maintain_order="left")
        if path != source and left.height < frame.height:
            rows += frame.height - left.height
            files.append(path.relative_to(run.path).as_posix())
            _rewrite(path, left)
    (run.path / REPORT).unlink(missing_ok=True)  # it shows queries
    outcome = run.outcome()
    if outcome is None or outcome.state is not RunState.DEPLOYED:  # what was deployed may serve
        shutil.rmtree(run.path / "memory", ignore_errors=True)
    before = None
    with suppress(MarkerError):
        before = run.find(MARKER, Forgotten)
    files = sorted({*files, "snapshot/clients.parquet", REPORT, *(before.files if before else ())})
    run.commit(MARKER, Forgotten(at=at, rows=rows + (before.rows if before else 0), files=files))
    _rewrite(source, rest)  # last: it says what is still to be done
    return rows


def _of_shoppers(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.parquet")):
        own = path.name.startswith(_OWN) or "judged" in path.relative_to(folder).parts
        if not own and "query" in pl.read_parquet_schema(path):
            yield path


def _rewrite(path: Path, frame: pl.DataFrame) -> None:
    partial = path.with_suffix(".rewritten")
    frame.write_parquet(partial)
    write_durably(path, partial.read_bytes())
    partial.unlink()
