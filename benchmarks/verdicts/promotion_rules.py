"""A case as evidence, and three rules that may promote it.

The gate, "the mean is higher", and segments vetoed without correction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.verdicts.planted_candidates import Floats, Ints, Pool, Results
from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.artefact import Artefact
from trainer.gate.comparison import UNTAUGHT
from trainer.gate.evidence import Bools, DataFacts, GateEvidence
from trainer.gate.exposure import exposure_of, overlap
from trainer.gate.verdict import decide

RULES = ("ours", "mean_higher", "uncorrected_segments")
UNCORRECTED_LOSS = 0.02


@dataclass(frozen=True)
class Setting:
    """What all cases share.

    ``systems``: live, base, base_dense, bm25, popularity on the pool; ``artefacts`` of live and base.
    """

    pool: Pool
    systems: Mapping[str, Results]
    artefacts: Mapping[str, Artefact]
    data: DataFacts
    limits: GateSettings


def evidence_of(
    setting: Setting, rows: Ints, candidate: Results | None, *, live: Results | None = None,
    best: Results | None = None, artefact: Artefact | None = None,
) -> GateEvidence:  # fmt: skip
    """Return a case on these rows of the pool.

    ``candidate`` None: it could not be scored; ``artefact``: live's where none is given.
    """
    pool, current = setting.pool, live or setting.systems["live"]
    systems = {**setting.systems, "live": current, "best": best or current}
    drawn = {name: found.take(rows) for name, found in systems.items()}
    problems: dict[str, str] = {}
    artefacts = dict(setting.artefacts)
    if candidate is None:
        problems["candidate"] = "EncodingError: the model gave vectors that are not finite"
    else:
        drawn["candidate"] = candidate.take(rows)
        artefacts["candidate"] = artefact or setting.artefacts["live"]
    tops = {
        name: [[int(p) for p in shown if p >= 0] for shown in drawn[name].top]
        for name in ("candidate", "live", UNTAUGHT)
        if name in drawn
    }
    segments: dict[str, Bools] = {name: mask[rows] for name, mask in pool.segments.items()}
    ids = range(pool.size)
    return GateEvidence(
        {name: found.ndcg10 for name, found in drawn.items()},
        {name: found.best for name, found in drawn.items()},
        segments,
        artefacts,
        problems,
        further={
            metric: {name: found.further[metric] for name, found in drawn.items()}
            for metric in setting.systems["live"].further
        },
        traffic=pool.queries["credit"].to_numpy()[rows],
        revenue=np.zeros(len(rows)),
        categories=pool.categories[rows].tolist(),
        clients=pool.clients[rows].tolist(),
        data=setting.data,
        exposure={name: exposure_of(shown, ids, pool.known) for name, shown in tops.items()},  # type: ignore[arg-type]
        overlap=float(np.mean([overlap(a, b) for a, b in zip(tops["candidate"], tops["live"], strict=True)]))  # type: ignore[arg-type]
        if candidate is not None
        else None,
    )


def promoted(evidence: GateEvidence, limits: GateSettings) -> tuple[dict[str, bool], list[Check]]:
    """Return which rules promote the candidate, and the gate's checks."""
    verdict, checks = decide(evidence, limits)
    return {"ours": verdict == "pass", **peers(evidence)}, checks


def peers(evidence: GateEvidence) -> dict[str, bool]:
    """Return what the two simpler rules say.

    ``uncorrected_segments``: the lower bound over all queries above 0, and that of each segment of 50 queries
    and more above -.02, every bound one-sided at 95 % by itself.
    """
    candidate, live = evidence.ndcg10.get("candidate"), evidence.ndcg10["live"]
    if candidate is None:
        return {"mean_higher": False, "uncorrected_segments": False}
    return peers_of(candidate - live, evidence.segments)


def peers_of(change: Floats, by_name: Mapping[str, Bools]) -> dict[str, bool]:
    """Return what the two simpler rules say of these differences, with the segments by name."""

    def low(mask: Bools) -> float:
        own = change[mask]
        return float(own.mean() - 1.645 * own.std() / np.sqrt(len(own)))

    segments = [mask for name, mask in by_name.items() if name != "all" and mask.sum() >= 50]
    every = np.ones(len(change), dtype=bool)
    kept = all(low(mask) > -UNCORRECTED_LOSS for mask in segments)
    return {"mean_higher": bool(change.mean() > 0), "uncorrected_segments": low(every) > 0 and kept}


def foul(setting: Setting, share: float) -> Setting:
    """Return the setting with data of which one client holds this share of the credit."""
    return replace(setting, data=setting.data.model_copy(update={"client_share": share}))
