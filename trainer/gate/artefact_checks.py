"""The rows of the gate that look at the model alone, A1 and A2: is it what it should be, has it collapsed. Pure."""

from collections.abc import Sequence

from schemas.training import Check
from trainer.gate.evidence import Evidence

MAX_NORM_ERROR = 1e-3
MIN_PARITY = 0.9999
MAX_MEAN_COSINE = 0.9
MAX_COSINE_RISE = 0.1
MIN_RANK_SHARE = 0.5
ARTEFACT = "artefact"


def sound(checks: Sequence[Check]) -> bool:
    """Say whether every artefact check passed: the least that a forced promotion needs."""
    own = [check for check in checks if check.name.startswith(ARTEFACT)]
    return bool(own) and all(check.verdict == "pass" for check in own)


def artefact_checks(evidence: Evidence) -> list[Check]:
    """Return the checks of the candidate's artefact; one failed check when it could not be examined."""
    found, live, base = (evidence.artefacts.get(s) for s in ("candidate", "live", "base"))
    if found is None:
        return [Check(name=ARTEFACT, verdict="fail", reason=evidence.problems.get("candidate", "the candidate was not examined"))]
    dims = sorted({other.dim for other in (live, base) if other})
    forms = {other.form for other in (live, base) if other}
    checks = [
        _rule("finite", float(found.finite), 1.0, good=found.finite, reason="all vectors are finite numbers"),
        _rule("dim", found.dim, dims[0] if dims else 0, good=found.dim in dims, reason=f"the dimension is one of {dims}"),
        _rule("form", float(found.form in forms), 1.0, good=found.form in forms,
              reason="modules, pooling, prompts and tokenizer are those of the live or the pretrained model"),
        _rule("unit_norm", found.norm_error, MAX_NORM_ERROR, good=found.norm_error <= MAX_NORM_ERROR, reason="vectors have length 1"),
        _rule("parity", found.parity, MIN_PARITY, good=found.parity >= MIN_PARITY, reason="a text alone and in a batch get one vector"),
    ]  # fmt: skip
    if live is None:
        reason = f"live was not examined: {evidence.problems.get('live')}"
        return [*checks, Check(name=f"{ARTEFACT}_collapse", verdict="fail", reason=reason)]
    limit = min(MAX_MEAN_COSINE, live.mean_cosine + MAX_COSINE_RISE)
    floor = MIN_RANK_SHARE * live.effective_rank
    return [
        *checks,
        _rule("collapse_cosine", found.mean_cosine, limit, good=found.mean_cosine <= limit, against=live.mean_cosine,
              reason="products are as far apart as before"),
        _rule("collapse_rank", found.effective_rank, floor, good=found.effective_rank >= floor, against=live.effective_rank,
              reason="the vectors use as many directions as before"),
    ]  # fmt: skip


def _rule(name: str, value: float, threshold: float, *, good: bool, reason: str, against: float | None = None) -> Check:
    return Check(
        name=f"{ARTEFACT}_{name}",
        verdict="pass" if good else "fail",
        reason=reason,
        candidate_value=value,
        baseline_value=against,
        baseline="live" if against is not None else None,
        threshold=threshold,
    )
