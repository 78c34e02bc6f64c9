"""Training over Kafka.

What asks for a run (``training-triggers``), how it fares (``training-runs``), the evidence (``decisions``).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import ControlTime, Fact, Id, Message, OptionalId
from schemas.bounds import EXACT_INTEGER, NAME_CHARS, PARAMS, REASON_CHARS
from schemas.releases import Kind, Ranking

REPORT = "report.html"  # the page of a run, in its folder and in that of the store
ParamName = Annotated[str, Field(max_length=NAME_CHARS)]
ParamText = Annotated[str, Field(max_length=REASON_CHARS)]
ParamNumber = Annotated[int, Field(ge=-EXACT_INTEGER, le=EXACT_INTEGER)]


class Trigger(Message):
    """A request for a run.

    A ``dedup_key`` runs at most once, for ever. ``force`` skips the data minimum and deploys whatever the
    verdict. ``base`` says what the fine-tune starts from. ``label_shuffle_seed`` trains on shuffled labels: a
    test of the gate. With ``cancels`` it asks for no run, but for the end of the run with this id; with
    ``refresh`` for a refresh of what serves, without training.
    """

    trigger_id: Id
    reason: Literal["schedule", "manual", "volume", "drift", "rollback_followup", "backfill"] = "manual"
    requested_by: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    requested_at: ControlTime
    dedup_key: Annotated[str, Field(max_length=200)] | None = None
    base: Literal["live", "pristine"] = "live"
    force: bool = False
    force_reason: Annotated[str, Field(max_length=REASON_CHARS)] | None = None
    dry_run: bool = False
    cancels: OptionalId = None
    refresh: bool = False
    params: Annotated[dict[ParamName, ParamNumber | float | ParamText | bool], Field(max_length=PARAMS)] = {}


class RunState(StrEnum):
    """The states of a run, in order; the last six are terminal and never change."""

    QUEUED = "queued"
    SNAPSHOTTING = "snapshotting"
    TRAINING = "training"
    EVALUATING = "evaluating"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    FAILED_GATE = "failed_gate"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the run has ended."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        RunState.DEPLOYED,
        RunState.FAILED_GATE,
        RunState.INCONCLUSIVE,
        RunState.SKIPPED,
        RunState.FAILED,
        RunState.CANCELLED,
    }
)


class RunError(Fact):
    """Why a run failed, for the operator."""

    code: str
    message: str
    retryable: bool = False


class TrainingRun(Fact):
    """The state of one run: the topic ``training-runs``, keyed by run_id. ``seq`` rises with every write.

    A dry run that passes ends as ``skipped`` with its verdict; ``passed`` candidates go on to ``deploying``
    and end as ``deployed`` once the indexer has published ``generation``. A refresh is a run of its own
    ``kind``, told of where somebody asked for it. ``snapshot`` and ``report`` are those of its decision.
    """

    run_id: str
    kind: Kind = "full"
    trigger_ids: list[str] = []
    dedup_keys: list[str] = []
    seq: int = 0
    state: RunState
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))
    progress: float = 0.0
    detail: str = ""
    pairs: int | None = None
    queries: int | None = None
    products: int | None = None
    metrics: dict[str, float] = {}
    verdict: Literal["pass", "fail", "inconclusive"] | None = None
    generation: int | None = None
    duration_s: float | None = None
    snapshot: str | None = None
    report: str | None = None
    error: RunError | None = None


class Check(Fact):
    """One row of the gate. ``baseline`` None: an absolute rule. Intervals are of candidate minus baseline.

    ``alarm``: something that a person should know and that changes no verdict.
    """

    name: str
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str
    metric: str | None = None
    segment: str | None = None
    baseline: str | None = None
    candidate_value: float | None = None
    baseline_value: float | None = None
    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int | None = None
    threshold: float | None = None
    alarm: bool = False


class Score(Fact):
    """The mean of a metric with its 95 % bootstrap interval over n queries."""

    mean: float
    ci_low: float
    ci_high: float
    n: int


class Decision(Fact):
    """The evidence of one verdict: the topic ``decisions``, kept for ever.

    ``ndcg10`` maps system (popularity, bm25, base, live, candidate) to segment (all, unseen, ...) to score.
    ``part_gains`` maps each part of the candidate's score, and ``training``, to segment (all, repeated,
    unseen) to what nDCG@10 loses without it.
    ``evidence`` maps the files of the run that it rests on to their sha256, ``limits`` are the gate's
    thresholds: with both it can be derived again. ``snapshot`` names the folder of the store with these files
    (``store:snapshots/SHA256``), ``report`` that with the page for people; both may be gone. ``tries``: how
    many candidates, this one included, have been judged against the same live generation.
    ``candidate_ranking`` is how the candidate was measured, and would be served. ``kind`` is that of the
    candidate.
    """

    decision_id: str
    kind: Kind = "full"
    run_id: str | None = None
    verdict: Literal["pass", "fail", "inconclusive", "forced"]
    reasons: list[str] = []
    checks: list[Check] = []
    ndcg10: dict[str, dict[str, Score]] = {}
    part_gains: dict[str, dict[str, Score]] = {}
    examples: list[dict[str, str | list[str]]] = []
    snapshot_sha256: str | None = None
    snapshot: str | None = None
    report: str | None = None
    candidate_sha256: str | None = None
    candidate_ranking: Ranking = Ranking()
    evidence: dict[str, str] = {}
    limits: dict[str, float] = {}
    tries: int | None = None
    seed: int = 0
    generation_before: int | None = None
    generation_after: int | None = None
    actor: str = "trainer"
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))
