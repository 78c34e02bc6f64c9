"""Derive a decision once more from the files of its run, and say whether it is the same.

Reads the folder, decides nothing new. From the snapshot the split, from split and first ten the nDCG@10, from
all of it the verdict. Only the models are not run again.
"""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from retrieval.model_folder import ModelError, fingerprint, resolve_model
from schemas.training import Check, Decision
from trainer.data.splits import split_by
from trainer.evaluation.ranking_metrics import ndcg
from trainer.gate.case import Case, digests
from trainer.gate.decision import build_decision
from trainer.run.redaction import MARKER

TOLERANCE = 1e-9
_NUMBERS = ("candidate_value", "baseline_value", "delta", "ci_low", "ci_high", "threshold")


@dataclass
class Rederived:
    """``refused``: why nothing was derived.

    ``differences``: what came out otherwise. ``checks``: how many were compared.
    """

    refused: str = ""
    differences: list[str] = field(default_factory=list)
    checks: int = 0
    verdict: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether all was derived and nothing differs."""
        return not self.refused and not self.differences


def rederive(decision: Decision, folder: Path) -> Rederived:
    """Return what the files of the run say today.

    Refuses when a file is gone or is not the one that was judged.
    """
    if not decision.evidence:
        return Rederived(refused="the decision names no files: it is not a run's, or of an earlier version")
    if not folder.is_dir():
        return Rederived(refused=f"the run's folder {folder} is not on this machine")
    found = digests(folder)
    gone = sorted(decision.evidence.keys() - found.keys())
    other = sorted(name for name in found if decision.evidence.get(name) != found[name])
    if gone or other:
        told = [
            *(f"{name} is missing" for name in gone),
            *(f"{name} is not the file that was judged" for name in other),
        ]
        forgotten = ["a shopper was forgotten since, and what was its alone was taken out of the run"]
        return Rederived(
            refused="; ".join([*(forgotten if (folder / f"{MARKER}.json").is_file() else ()), *told])
        )
    try:
        case = Case.read(folder)
    except (FileNotFoundError, ValueError) as error:
        return Rederived(refused=str(error))
    again = build_decision(case, at=decision.at)
    result = Rederived(verdict=again.verdict, checks=len(again.checks))
    result.differences += [*_split(case), *_metrics(case), *_model(case, decision)]
    result.differences += compare_decisions(decision, again)
    return result


def compare_decisions(decision: Decision, again: Decision) -> list[str]:
    """Return how two decisions on one run differ.

    Numbers may differ by ``TOLERANCE``, and a row that is newer than the run may pass.
    """
    told = []
    if decision.verdict != again.verdict:
        told.append(f"the verdict was {decision.verdict}, derived again it is {again.verdict}")
    ours = {c.name: c for c in again.checks}
    for check in decision.checks:
        other = ours.pop(check.name, None)
        told += [f"{check.name}: no longer derived"] if other is None else _differences(check, other)
    return [
        *told,
        *(f"{name}: was not derived then" for name, check in ours.items() if check.verdict != "pass"),
    ]


def _differences(check: Check, other: Check) -> list[str]:
    told = (
        [f"{check.name}: {check.verdict}, derived again {other.verdict}"]
        if check.verdict != other.verdict
        else []
    )
    for name in _NUMBERS:
        a, b = getattr(check, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and abs(a - b) > TOLERANCE):
            told.append(f"{check.name}.{name}: {a}, derived again {b}")
    return told


def _split(case: Case) -> list[str]:
    parts = split_by(case.request.settings, case.snapshot)
    stored = pl.read_parquet(case.folder / "split" / "qrels.parquet")
    return [] if parts.qrels.equals(stored) else ["the snapshot gives other test labels"]


def _metrics(case: Case) -> list[str]:
    judged = {
        q: dict(zip(r, g, strict=True))
        for q, r, g in case.evaluation.queries.select("query", "relevant", "gains").iter_rows()
    }
    rows = case.evaluation.results.select("system", "query", "ndcg10", "top").iter_rows()
    wrong = sum(abs(ndcg(top, judged[query]) - value) > TOLERANCE for _, query, value, top in rows)
    return [f"{wrong} values of nDCG@10 are not those of their first ten"] if wrong else []


def _model(case: Case, decision: Decision) -> list[str]:
    """Compare the model in the run's folder; in the store there is none, and models have their own place."""
    if not (case.folder / "model").exists():
        return []
    try:
        found = fingerprint(resolve_model(str(case.folder / "model")))
    except ModelError as error:
        return [str(error)]
    return (
        []
        if found == decision.candidate_sha256
        else ["the model in the folder is not the one that was judged"]
    )
