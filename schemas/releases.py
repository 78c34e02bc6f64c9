"""Deployment over Kafka.

Commands in (``deployment-commands``), generations and the live pointer out (``releases``). A release is one
generation: model, index and ranking as one. It is never reused and never renamed.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import ControlTime, Fact, Id, Message
from schemas.bounds import EXACT_INTEGER, NAME_CHARS, PATH_CHARS, REASON_CHARS
from schemas.settings import MAIN

# A number of ours, which every reader of JSON holds exactly.
Generation = Annotated[int, Field(ge=-EXACT_INTEGER, le=EXACT_INTEGER)]
# A number of ours that only rises.
Counted = Annotated[int, Field(ge=0, le=EXACT_INTEGER)]


Coefficient = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Ranking(Fact):
    """How the parts of a score are summed. Artefacts map a part's name to ``(path, sha256)``.

    ``language`` is that of the words, ``analysis_sha256`` tells how texts become words; None without them.
    """

    coefficients: dict[Annotated[str, Field(max_length=NAME_CHARS)], Coefficient] = {"dense": 1.0}
    artefacts: dict[str, tuple[str, str]] = {}
    language: Annotated[str, Field(max_length=NAME_CHARS)] | None = None
    analysis_sha256: Annotated[str, Field(max_length=NAME_CHARS)] | None = None


# A full generation has a model and a collection of its own; a refresh has those of the generation that it
# refreshes, and another ranking.
Kind = Literal["full", "refresh"]


class Candidate(Fact):
    """A saved model that is proposed for release, or as a ``refresh`` another ranking of the live one.

    ``model`` is a folder; ``vectors`` an optional file of catalogue vectors; ``ranking`` how it was measured,
    on documents that were composed by version ``composition`` (``retrieval.document``).
    """

    kind: Kind = "full"
    model: Annotated[str, Field(max_length=PATH_CHARS)]
    model_sha256: Annotated[str, Field(max_length=NAME_CHARS)]
    dim: Generation
    vectors: Annotated[str, Field(max_length=PATH_CHARS)] | None = None
    composition: Counted = 1
    ranking: Ranking = Ranking()
    run_id: Annotated[str, Field(max_length=NAME_CHARS)] | None = None
    decision_id: Annotated[str, Field(max_length=NAME_CHARS)] | None = None


DeploymentAction = Literal["promote", "rollback", "pause", "resume", "pin", "unpin", "abort"]


class DeploymentCommand(Message):
    """A request to change what serves.

    ``expected_generation`` is compared with the live one: a stale command is rejected. ``promote`` carries a
    candidate or names a generation; ``rollback`` without one goes to the previous generation. ``actor`` is
    what the sender says of itself: history shows it as claimed. After ``expires_at`` the command is refused.
    """

    command_id: Id
    deployment: Id = MAIN
    action: DeploymentAction
    expected_generation: Generation | None = None
    target_generation: Generation | None = None
    candidate: Candidate | None = None
    force: bool = False
    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""
    actor: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))
    expires_at: ControlTime | None = None


class ReleaseState(StrEnum):
    """Where a generation stands. ``retired`` still holds its collection, ``dropped`` does not."""

    BUILDING = "building"
    VERIFIED = "verified"
    RELEASED = "released"
    RETIRED = "retired"
    DROPPED = "dropped"
    FAILED = "failed"


class ReleaseFailure(StrEnum):
    """Why a generation ended as ``failed``; ``error`` says it in words."""

    ABORTED = "aborted"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


class RolledBack(Fact):
    """That a generation was taken out of service, by whom and why: its weights do not serve again unless
    forced. ``weights`` false: what came instead has the same ones, and only the ranking was taken back.
    """  # noqa: D205 (published word for word)

    actor: str
    reason: str
    at: ControlTime
    weights: bool = True


class Release(Fact):
    """One generation: the topic ``releases``, key ``generation:000001``.

    All but ``state``, ``error``, ``failure``, ``rolled_back`` and ``at`` is immutable once it is verified;
    ``at`` is when it took its state.
    ``command`` is the one that asked for it, None for the first generation. ``attempts`` counts how often its
    build was begun.

    ``catalog_offsets`` maps partitions of ``catalog`` to the next offset to apply after the build.
    ``id_set_sha256`` is that of the sorted product ids joined by newlines. ``composition``: by which version
    the documents were composed whose vectors it holds.
    """

    generation: Counted
    kind: Kind = "full"
    model: str
    model_sha256: str
    dim: int
    composition: Counted = 1
    ranking: Ranking = Ranking()
    collection: str
    catalog_offsets: dict[int, int] = {}
    row_count: int = 0
    id_set_sha256: str = ""
    parent: int | None = None
    run_id: str | None = None
    decision_id: str | None = None
    command: DeploymentCommand | None = None
    state: ReleaseState
    error: str | None = None
    failure: ReleaseFailure | None = None
    attempts: int = 1
    rolled_back: RolledBack | None = None
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))


class Promotion(Fact):
    """A promotion that is watched: the ``sequence`` and the time of its pointer, and what served before."""

    sequence: Counted
    at: ControlTime
    before: Release


class LivePointer(Fact):
    """What serves now: the topic ``releases``, key = the deployment's name.

    ``sequence`` rises with every change. Both releases are whole, so that a searcher needs nothing else.
    ``command_id`` is the last command that was carried out, ``carried_out`` the last few, the newest last:
    none of them is carried out twice. ``forced``: no searcher may refuse this generation. ``follows`` are the
    digests (``broker.pointer_chain``) of the pointers before it, and of strangers' that it overrules: readers
    take no other. ``refreshed`` is the promotion that made these weights serve, where what came since (a
    refresh, the rollback of one, a mark) left them in place; under a refresh (``cause``) it is watched on.
    """

    deployment: str = MAIN
    sequence: Counted
    live: Release
    previous: Release | None = None
    cause: str
    command_id: str | None = None
    carried_out: list[str] = []
    forced: bool = False
    actor: str = "indexer"
    paused: bool = False
    pinned: bool = False
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))
    follows: list[str] | None = None
    refreshed: Promotion | None = None

    @property
    def promotion(self) -> Promotion | None:
        """The promotion that made these weights serve, refreshed since or not; None for another cause."""
        if self.cause == "promote" and self.previous is not None:
            return Promotion(sequence=self.sequence, at=self.at, before=self.previous)
        return self.refreshed if self.cause == "refresh" else None

    @property
    def lasting(self) -> Promotion | None:
        """The promotion that made these weights serve, watched still or not; None where it is not known."""
        return self.refreshed or self.promotion

    @property
    def named(self) -> list[Release]:
        """What a searcher holds open and an indexer never drops, the live one first: at most three.

        The previous one, where a rollback goes, and what served before these weights did, where one of the
        model goes.
        """
        before = self.lasting.before if self.lasting else None
        known = {r.generation: r for r in (before, self.previous, self.live) if r}
        return list(known.values())[::-1]

    @property
    def next_sequence(self) -> int:
        """The sequence of the pointer after this one.

        After the greatest it begins anew: a stranger's may be the greatest.
        """
        return self.sequence % EXACT_INTEGER + 1


def release_key(generation: int, deployment: str = MAIN) -> bytes:
    """Return the key of a generation's own record on ``releases``; sorts by generation.

    >>> release_key(7), release_key(7, "shop-b")
    (b'generation:000007', b'shop-b/generation:000007')
    """
    return f"{'' if deployment == MAIN else deployment + '/'}generation:{generation:06d}".encode()


def is_release_key(key: bytes, deployment: str = MAIN) -> bool:
    """Say whether a key is that of a generation of the deployment."""
    return key.startswith(release_key(0, deployment)[:-6])


def rejection_id(deployment: str, command_id: str) -> str:
    """Return the id of the decision by which a command is refused."""
    return f"{deployment}-rejected-{command_id}"


LATENCY_BOUNDS_MS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 70.0, 100.0, 150.0, 250.0, 500.0, 1000.0, 2500.0)


# Clients fall into so many buckets by a hash of their id: shares per client that a report can carry, and that
# add up across searchers.
CLIENT_BUCKETS = 128


class Served(Fact):
    """What one searcher has answered with one generation since a live pointer, the one of ``sequence``, made
    it serve that generation.

    ``latency_counts`` has one number per bound of ``LATENCY_BOUNDS_MS`` (answers at or below it and above the
    one before), and one more for the rest. Latency is that of encoding and searching, without the queue: the
    part that a generation can make worse.

    ``empty`` and ``errors`` count every request. ``plain_by_client``, ``plain_errors_by_client`` and
    ``plain_empty_by_client`` count only plain ones: no filter, the first page, and this client's first of
    that query since the pointer. Each is empty or has a number per bucket of clients (``CLIENT_BUCKETS``), so
    that one client can weigh no more than one of the buckets that hold anything.

    ``turns`` are the milliseconds that this generation took and those of the one before its promotion, for
    the same query asked of both one right after the other: the newest.
    """  # noqa: D205 (published word for word)

    generation: int
    sequence: int = 0
    answers: int = 0
    errors: int = 0
    empty: int = 0
    latency_counts: list[int] = []
    plain_by_client: list[int] = []
    plain_errors_by_client: list[int] = []
    plain_empty_by_client: list[int] = []
    turns: list[tuple[float, float]] = []


class SearcherReport(Fact):
    """What a searcher serves, on the topic ``searcher-reports``: retention drops nothing that a searcher
    still uses.

    ``problem`` says why it does not serve the live generation, ``refused`` names the generation that it will
    not serve. ``recent_p95_ms`` is of the last seconds, queue included; None without answers. ``sequence`` is
    that of the pointer it follows. A searcher that is stopped leaves a null value under its id.
    ``deployment`` is the one it serves; None in reports of earlier versions. ``seal_key`` is what it seals
    its searches with (``retrieval.seal``), in hexadecimal: for the indexer alone.
    """  # noqa: D205 (published word for word)

    searcher_id: str
    deployment: str | None = None
    seal_key: str | None = None
    generation: int | None = None
    sequence: int
    ready: bool
    refused: int | None = None
    problem: str | None = None
    served: list[Served] = []
    recent_p95_ms: float | None = None
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))
