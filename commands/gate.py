"""``gate``: the queries a verdict needs, and the queries that an operator has pinned.

Works on files, so it needs no broker.
"""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl

from commands.support.session import out, show_json, stop, table
from schemas.settings import SettingsError, TrainerSettings
from trainer.evaluation.power import DEFAULT_SD, GAINS, needs, power_at, queries_needed
from trainer.gate.pinned import Pin, PinError, checked, read_pins, write_pins

RUNS = 10  # the newest evaluated ones


def power(*, gain: float | None, sd: float | None, data_dir: Path | None, as_json: bool) -> None:
    """Say how many test queries a gain needs, from the spread that earlier runs have measured."""
    if (gain is not None and not gain > 0) or (sd is not None and not sd > 0):
        stop("--gain and --sd must be above 0", code=2)
    measured = spreads(_settings(data_dir).data_dir / "runs")
    used = sd or (float(np.median([s for _, s, _ in measured])) if measured else DEFAULT_SD)
    source = (
        "given"
        if sd
        else f"median of {len(measured)} runs"
        if measured
        else "default: no run has measured its own yet"
    )
    table_of = needs(used, (gain,) if gain is not None else GAINS)
    queries = measured[-1][2] if measured else None
    facts = {
        "sd": used, "source": source, "runs": [{"run_id": r, "sd": s, "queries": n} for r, s, n in measured],
        "needed": [{"gain": n.gain, "power": n.power, "queries": n.queries} for n in table_of],
        "newest_run": {"queries": queries,
                       "power": {str(g): round(power_at(used, g, queries),
                                               3) for g in GAINS}} if queries else None,
    }  # fmt: skip
    if as_json:
        show_json(facts)
        return
    out.print(f"standard deviation of the differences per query: {used:.3f} ({source})", highlight=False)
    gains = sorted({n.gain for n in table_of})
    rows = [(f"+{g:g}", queries_needed(used, g, 0.8), queries_needed(used, g, 0.9)) for g in gains]
    table("test queries needed to see a gain in nDCG@10", ["gain", "80 % power", "90 % power"], rows)
    if queries:
        told = ", ".join(f"+{g:g} {power_at(used, g, queries):.0%}" for g in gains)
        out.print(
            f"the newest run had {queries} test queries: a true gain is seen with a probability of {told}",
            highlight=False,
        )


def spreads(runs: Path) -> list[tuple[str, float, int]]:
    """Return run, standard deviation of candidate less live and number of queries.

    Of the newest runs, oldest first. A candidate that is equal to live, or could not be scored, says nothing
    of the spread and is left out.
    """
    found: list[tuple[str, float, int]] = []
    for folder in sorted(runs.glob("*"), reverse=True):
        path = folder / "evaluation" / "results.parquet"
        if not (folder / "evaluation" / "facts.json").is_file() or not path.is_file():
            continue
        results = pl.read_parquet(path, columns=["system", "query", "ndcg10"])
        own, live = (
            results.filter(pl.col("system") == s).select("query", "ndcg10") for s in ("candidate", "live")
        )
        both = own.join(live, on="query", suffix="_live").drop_nulls()
        change = (both["ndcg10"] - both["ndcg10_live"]).to_numpy()
        if len(change) > 1 and change.std() > 0:
            found.append((folder.name, float(change.std(ddof=1)), len(change)))
        if len(found) == RUNS:
            break
    return found[::-1]


def pin(query: str, products: list[str], *, k: int, data_dir: Path | None, as_json: bool) -> None:
    """Pin products to the first k of a query; a query that is pinned already is pinned anew."""
    path = _path(data_dir)
    try:
        new = checked(Pin(query=query, products=products, k=k))
        pins = [p for p in read_pins(path) if p.query != new.query]
    except ValueError as error:
        stop(str(error), code=2)
    write_pins(path, [*pins, new])
    _told(
        [new],
        as_json=as_json,
        text=f"pinned {new.query!r}: {', '.join(new.products)} in the first {new.k}; checked from the next "
        "run on",
    )


def unpin(query: str, *, data_dir: Path | None, as_json: bool) -> None:
    """Take a pinned query out."""
    path = _path(data_dir)
    pins = _read(path)
    kept = [p for p in pins if p.query != checked(Pin(query=query, products=["-"])).query]
    if len(kept) == len(pins):
        stop(f"{query!r} is not pinned; `searchloop gate list` shows what is")
    write_pins(path, kept)
    _told(kept, as_json=as_json, text=f"{query!r} is no longer pinned; {len(kept)} are")


def list_pins(*, data_dir: Path | None, as_json: bool) -> None:
    """List the pinned queries."""
    path = _path(data_dir)
    pins = _read(path)
    if as_json:
        show_json([json.loads(p.model_dump_json()) for p in pins])
        return
    table(
        f"pinned queries ({path})",
        ["query", "first", "products"],
        [(p.query, p.k, ", ".join(p.products)) for p in pins],
    )


def _settings(data_dir: Path | None) -> TrainerSettings:
    try:
        return TrainerSettings.load(os.environ, **({"data_dir": data_dir} if data_dir else {}))
    except SettingsError as error:
        stop(str(error), code=2)


def _path(data_dir: Path | None) -> Path:
    settings = _settings(data_dir)
    return settings.data_dir / settings.pinned_queries


def _read(path: Path) -> list[Pin]:
    try:
        return read_pins(path)
    except PinError as error:
        stop(str(error))


def _told(pins: list[Pin], *, as_json: bool, text: str) -> None:
    if as_json:
        show_json([json.loads(p.model_dump_json()) for p in pins])
    else:
        out.print(text, highlight=False)
