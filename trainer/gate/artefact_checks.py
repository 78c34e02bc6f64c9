"""The rows of the gate that look at the model alone: is it what it should be, has it collapsed. Pure."""

from collections.abc import Sequence

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.gate.evidence import GateEvidence
from trainer.gate.gate_rows import GATE_ROWS

MAX_COSINE_RISE = 0.1
ARTEFACT = "artefact"


def sound(checks: Sequence[Check]) -> bool:
    """Say whether every artefact check passed: the least that a forced promotion needs."""
    own = [check for check in checks if check.name.startswith(ARTEFACT)]
    return bool(own) and all(check.verdict == "pass" for check in own)


def artefact_checks(evidence: GateEvidence, limits: GateSettings) -> list[Check]:
    """Return the checks of the candidate's artefact; one failed check when it could not be examined."""
    found, live, base = (evidence.artefacts.get(s) for s in ("candidate", "live", "base"))
    if found is None:
        return [
            Check(
                name=ARTEFACT,
                verdict="fail",
                reason=evidence.problems.get("candidate", "the candidate was not examined"),
            )
        ]
    dims = sorted({other.dim for other in (live, base) if other})
    forms = {other.form for other in (live, base) if other}
    norm, parity = (
        GATE_ROWS["artefact_unit_norm"].limit_by(limits),
        GATE_ROWS["artefact_parity"].limit_by(limits),
    )
    checks = [
        _rule("artefact_finite", float(found.finite), 1.0, good=found.finite),
        _rule("artefact_dim", found.dim, dims[0] if dims else 0, good=found.dim in dims, dims=dims),
        _rule("artefact_form", float(found.form in forms), 1.0, good=found.form in forms),
        _rule("artefact_unit_norm", found.norm_error, norm, good=found.norm_error <= norm),
        _rule("artefact_parity", found.parity, parity, good=found.parity >= parity),
    ]
    if live is None:
        reason = f"live was not examined: {evidence.problems.get('live')}"
        return [*checks, Check(name=f"{ARTEFACT}_collapse", verdict="fail", reason=reason)]
    most = min(GATE_ROWS["artefact_collapse_cosine"].limit_by(limits), live.mean_cosine + MAX_COSINE_RISE)
    least = GATE_ROWS["artefact_collapse_rank"].limit_by(limits) * live.effective_rank
    cosine, rank = found.mean_cosine, found.effective_rank
    return [
        *checks,
        _rule("artefact_collapse_cosine", cosine, most, good=cosine <= most, against=live.mean_cosine),
        _rule("artefact_collapse_rank", rank, least, good=rank >= least, against=live.effective_rank),
    ]


def _rule(
    name: str, value: float, threshold: float, *, good: bool, against: float | None = None, **found: object
) -> Check:
    return Check(
        name=name,
        verdict="pass" if good else "fail",
        reason=GATE_ROWS[name].told(**found),
        candidate_value=value,
        baseline_value=against,
        baseline="live" if against is not None else None,
        threshold=threshold,
    )
