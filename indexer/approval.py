"""Decide whether a candidate may be built at all.

Somebody has judged these weights, and they lie where models of ours lie. Pure. Who can write a command can
name any folder. So the weights must be those of a verdict on ``decisions``, which only the trainer and the
indexer write: a pass, or forced with a reason. It knows no broker; what it is told of ``decisions`` is all it
remembers, by digest.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from artefacts.folders import is_stored
from retrieval.document import COMPOSITION
from schemas.releases import Candidate, Kind, Ranking
from schemas.settings import named
from schemas.training import Decision

RUNS, REFRESHES = "runs", "refreshes"
REMEMBERED = 100


class Approvals:
    """The weights that were approved, by kind and sha256, with the runs of the verdicts and their rankings.

    None: of no run, as the base model. A verdict on a refresh lets nobody build a generation, nor the other
    way round. Refreshes come every two minutes and are commanded at once: of a model the newest
    ``REMEMBERED`` count.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[Kind, str], dict[str | None, list[Ranking]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def take(self, decision: Decision) -> None:
        """Note a decision.

        One that refuses takes nothing back: else who writes bad commands could bar good weights.
        """
        good = decision.verdict == "pass" or (decision.verdict == "forced" and any(decision.reasons))
        if good and decision.candidate_sha256:
            runs = self._runs[decision.kind, decision.candidate_sha256]
            rankings = runs[decision.run_id]
            if decision.candidate_ranking not in rankings:
                rankings.append(decision.candidate_ranking)
            if decision.kind == "refresh" and len(runs) > REMEMBERED:
                del runs[next(iter(runs))]

    def objection(self, candidate: Candidate) -> str | None:
        """Return why nobody has approved the candidate, or None. It does not say what would be approved."""
        runs = self._runs.get((candidate.kind, candidate.model_sha256), {})
        if not runs:
            return (
                "no decision on these weights: a promotion needs a pass, or forced with a reason, on "
                "decisions (`searchloop train`)"
            )
        if candidate.run_id is not None and candidate.run_id not in runs:
            return f"the decision on these weights is not that of run {candidate.run_id}"
        judged = runs[candidate.run_id] if candidate.run_id is not None else chain(*runs.values())
        if candidate.ranking not in judged:
            return "these weights were judged with another ranking than the candidate names"
        return None


def model_folders(data_dir: Path, further: str) -> list[Path]:
    """Return the folders whose models and artefacts may be promoted.

    The runs and refreshes of the data directory, and further ones, comma separated.
    """
    return [
        data_dir / RUNS,
        data_dir / REFRESHES,
        *map(Path, named(further)),
    ]


def misplaced(candidate: Candidate, *, base_model: str, folders: Sequence[Path]) -> str | None:
    """Return why the candidate's files are none of ours, or None.

    What lies in the store is, by the digest in its name. Links are followed before they are judged.
    """
    inside = [folder.resolve() for folder in folders]
    paths = [path for path, _ in candidate.ranking.artefacts.values()]
    if candidate.vectors is not None:
        paths.append(candidate.vectors)
    if candidate.model != base_model and candidate.kind == "full":  # a refresh's model serves already
        paths.append(candidate.model)
    for path in paths:
        if not is_stored(path) and not any(Path(path).resolve().is_relative_to(folder) for folder in inside):
            return (
                f"{path[:200]!r} does not lie in a folder of models: the runs and refreshes of the data "
                "directory, or one of model_folders"
            )
    return None


def composed_otherwise(candidate: Candidate) -> str | None:
    """Return why its documents are not those that we would index, or None: then it was measured on others."""
    if candidate.composition == COMPOSITION:
        return None
    return (
        f"it was measured on documents of composition {candidate.composition}, and the indexer composes them "
        f"by {COMPOSITION}: bring trainer and indexer to one version, and train again"
    )
