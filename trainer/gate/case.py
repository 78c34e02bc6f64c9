"""The files of a run that its verdict rests on, with their digests.

Read to decide, and read again to derive the decision once more.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from trainer.data.prepared import Prepared
from trainer.data.snapshot import Manifest, Snapshot
from trainer.data.trust import believed
from trainer.evaluation.bootstrap import Floats, clusters_of
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rank_changes import RankChange, rank_changes
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.segments import CATEGORY, SEGMENTS
from trainer.gate.comparison import UNTAUGHT
from trainer.gate.data_facts import facts_of, leading_clients
from trainer.gate.evidence import GateEvidence, Pinned
from trainer.gate.exposure import exposure_of, overlap
from trainer.gate.past import Past
from trainer.gate.pinned import Pin, PinError, pins_missing, read_pins
from trainer.run.folder import M, RunFolder
from trainer.run.request import Request

PINS = "pinned.jsonl"  # the pinned queries as they were when the run was evaluated
PINNED = "pinned.parquet"  # their rankings by the candidate: query, top
_FILES = (
    "request.json", "snapshot.json", "split.json", "past.json", "evaluation/facts.json",
    "evaluation/queries.parquet", "evaluation/results.parquet", f"evaluation/{PINS}", f"evaluation/{PINNED}",
    "snapshot/pairs.parquet", "snapshot/clients.parquet", "snapshot/catalog.parquet",
    "snapshot/judgments.parquet", "split/qrels.parquet", "split/weighted.parquet",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What a run's folder says, ready to be judged."""

    request: Request
    manifest: Manifest
    prepared: Prepared
    past: Past
    evaluation: Evaluation
    snapshot: Snapshot
    weighted: pl.DataFrame
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> "Case":
        """Read the folder of a run that was evaluated.

        Raises ``FileNotFoundError`` when something of it is gone.
        """
        run = RunFolder(folder)
        return cls(
            request=_marker(run, "request", Request),
            manifest=_marker(run, "snapshot", Manifest),
            prepared=_marker(run, "split", Prepared),
            past=_marker(run, "past", Past),
            evaluation=Evaluation.read(folder / "evaluation"),
            snapshot=Snapshot.read(folder / "snapshot"),
            weighted=pl.read_parquet(folder / "split" / "weighted.parquet"),
            folder=folder,
        )

    @property
    def titles(self) -> dict[str, str]:
        """Return the products' titles by id."""
        return dict(self.snapshot.catalog.select("product_id", "title").iter_rows())

    @cached_property
    def evidence(self) -> GateEvidence:
        """The evaluation, the data and the pinned queries as one; put together when it is first asked for."""
        trusted = believed(self.snapshot.clients, deviations=self.request.settings.newcomer_deviations)
        plain = evidence_of(self.evaluation, self.snapshot, self.weighted, trusted)
        data = facts_of(
            self.snapshot,
            cut_day=self.prepared.cut_day,
            received=self.manifest.received,
            refused=self.manifest.refused,
        )
        pinned, problem = self._pinned()
        problems = {**plain.problems, **({"pinned": problem} if problem else {})}
        return replace(plain, data=data, pinned=pinned, problems=problems)

    def _pinned(self) -> tuple[list[Pinned] | None, str]:
        try:
            pins: list[Pin] = read_pins(self.folder / "evaluation" / PINS)
        except PinError as error:
            return None, str(error)
        if not pins:
            return [], ""
        path = self.folder / "evaluation" / PINNED
        if not path.is_file():
            return None, "the candidate has not ranked the pinned queries"
        return pins_missing(pins, dict(pl.read_parquet(path).select("query", "top").iter_rows())), ""


def evidence_of(
    evaluation: Evaluation, snapshot: Snapshot, weighted: pl.DataFrame, trusted: pl.DataFrame
) -> GateEvidence:
    """Return the evaluation as arrays in the order of its queries.

    ``weighted``: the training pairs with their credit, as ``trusted``.
    """
    queries = evaluation.queries
    best = dict(_columns(evaluation, "best_in_10"))
    tops = dict(_tops(evaluation, ("candidate", "live", UNTAUGHT)))
    ids, known = snapshot.catalog["product_id"].to_list(), set(weighted["product_id"].to_list())
    described = [name for name in SEGMENTS if name in queries.columns]
    segments = [*described, *(name for name in queries.columns if name.startswith(CATEGORY))]
    return GateEvidence(
        dict(_columns(evaluation, "ndcg10")),
        {system: np.nan_to_num(values).astype(bool) for system, values in best.items()},
        {name: queries[name].to_numpy() for name in segments},
        evaluation.facts.artefacts,
        evaluation.facts.problems,
        further={m.name: dict(_columns(evaluation, m.name)) for m in RANKING_METRICS if m.vetoes},
        clusters=clusters_of(queries["query"].to_list()),
        traffic=queries["credit"].cast(pl.Float64).to_numpy(),
        revenue=_revenue(queries, snapshot.pairs),
        categories=_categories(queries, snapshot.catalog),
        clients=leading_clients(snapshot.clients, queries),
        exposure={system: exposure_of(shown, ids, known) for system, shown in tops.items()},
        overlap=_overlap(tops),
        judged={name: dict(_columns(own, "ndcg10")) for name, own in evaluation.judged.items()},
        rank_changes=_moved(queries, tops, weighted, snapshot.clients, trusted),
    )


def _marker(run: RunFolder, name: str, kind: type[M]) -> M:
    found = run.find(name, kind)
    if found is None:
        raise FileNotFoundError(f"{run.path / name}.json is missing")
    return found


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a run that its verdict rests on, by its name in the folder.

    Absent ones are left out.
    """
    judged = sorted(
        p.relative_to(folder).as_posix() for p in (folder / "evaluation" / "judged").rglob("*") if p.is_file()
    )
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in [*_FILES, *judged]
        if (folder / name).is_file()
    }


def _columns(evaluation: Evaluation, metric: str) -> Iterator[tuple[str, Floats]]:
    if metric not in evaluation.results.columns:
        return  # evaluated by a version that did not have it: no numbers, so the row fails
    for system in evaluation.results["system"].unique().sort().to_list():
        own = _results_of(evaluation, system)[metric]
        yield system, own.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _tops(evaluation: Evaluation, systems: tuple[str, ...]) -> Iterator[tuple[str, list[list[str]]]]:
    there = evaluation.results["system"].unique().to_list()
    for system in systems:
        if system in there:
            yield system, [list(shown or ()) for shown in _results_of(evaluation, system)["top"].to_list()]


def _results_of(evaluation: Evaluation, system: str) -> pl.DataFrame:
    """Return the results of a system in the order of the queries, null for a query that it has none of."""
    own = evaluation.results.filter(pl.col("system") == system)
    return evaluation.queries.select("query").join(own, on="query", how="left", maintain_order="left")


def _overlap(tops: dict[str, list[list[str]]]) -> float | None:
    if not {"candidate", "live"} <= tops.keys():
        return None
    both = [overlap(a, b) for a, b in zip(tops["candidate"], tops["live"], strict=True)]
    return float(np.mean(both)) if both else 1.0


def _moved(
    queries: pl.DataFrame,
    tops: dict[str, list[list[str]]],
    weighted: pl.DataFrame,
    clients: pl.DataFrame,
    trusted: pl.DataFrame,
) -> list[RankChange]:
    if not {"candidate", "live"} <= tops.keys():
        return []
    texts = queries["query"].to_list()
    return rank_changes(
        texts, tops["live"], tops["candidate"], weighted=weighted, clients=clients, trusted=trusted
    )


def _revenue(queries: pl.DataFrame, pairs: pl.DataFrame) -> Floats:
    earned = pairs.group_by("query").agg(pl.col("revenue_minor").sum())
    joined = queries.select("query").join(earned, on="query", how="left", maintain_order="left")
    revenue: Floats = joined["revenue_minor"].fill_null(0).clip(lower_bound=0).cast(pl.Float64).to_numpy()
    return revenue


def _categories(queries: pl.DataFrame, catalog: pl.DataFrame) -> list[str]:
    if "category" not in catalog.columns:
        return [""] * queries.height
    named = dict(catalog.select("product_id", "category").iter_rows())
    return [named.get(relevant[0], "") if relevant else "" for relevant in queries["relevant"].to_list()]
