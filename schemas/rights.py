"""Who needs which right on the cluster: each process on its own topics, groups and transactional ids.

``searchloop acl`` prints it, every process checks and creates the topics of its own row alone, and a right
that is missing is told by it. What operators and shops need stands beside the processes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.settings import Settings
from schemas.topics import (
    API_KEYS,
    CATALOG,
    CONTRIBUTIONS,
    DECISIONS,
    DEPLOYMENT_COMMANDS,
    EVENTS,
    INTERACTIONS,
    JUDGMENTS,
    PAIRS,
    PICTURES,
    RAW,
    RELEASES,
    RULES,
    SEARCH_REQUESTS,
    SEARCH_RESPONSES,
    SEARCHER_REPORTS,
    SEARCHES,
    SHOPPERS,
    SKIPPED,
    TOPICS,
    TRAINING_RUNS,
    TRAINING_TRIGGERS,
    WITH_DEAD_LETTERS,
    Topic,
    dead_letters_of,
)

Kind = Literal["topic", "group", "transactional-id"]
_LETTERS = tuple(map(dead_letters_of, RAW))


@dataclass(frozen=True, slots=True)
class Right:
    """One principal may do this to one resource, or to all whose names begin so (``prefixed``)."""

    principal: str
    kind: Kind
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """What one principal needs; groups and transactional ids without the prefix of topics.

    ``{deployment}`` stands for that of the settings. Transactional ids are prefixes: a partition follows.
    """

    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    groups: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()


_ROWS: dict[str, _Row] = {
    "stream": _Row(
        reads=(
            *RAW,
            dead_letters_of(INTERACTIONS),
            EVENTS,
            CONTRIBUTIONS,
            SHOPPERS,
            PAIRS,
            CATALOG,
            PICTURES,
            SKIPPED,
        ),
        # Interactions: those that are joined again when their product comes
        writes=(INTERACTIONS, EVENTS, CONTRIBUTIONS, SHOPPERS, PAIRS, CATALOG, PICTURES, *_LETTERS),
        groups=("intake-products", "intake-events", "pictures", "learn", "rejoin"),
        transactions=(SHOPPERS.name, PAIRS.name),
    ),
    "trainer": _Row(
        reads=(
            *RAW,
            *_LETTERS,
            PAIRS,
            CATALOG,
            JUDGMENTS,
            TRAINING_TRIGGERS,
            TRAINING_RUNS,
            RELEASES,
            DECISIONS,
            SKIPPED,
        ),
        writes=(
            TRAINING_TRIGGERS,
            TRAINING_RUNS,
            DECISIONS,
            DEPLOYMENT_COMMANDS,
            dead_letters_of(TRAINING_TRIGGERS),
        ),
        groups=("trainer",),
    ),
    "indexer": _Row(
        reads=(CATALOG, EVENTS, DEPLOYMENT_COMMANDS, RELEASES, DECISIONS, SEARCHER_REPORTS, SKIPPED),
        writes=(RELEASES, DECISIONS, dead_letters_of(DEPLOYMENT_COMMANDS)),
        groups=("indexer-{deployment}",),
        transactions=(RELEASES.name,),
    ),
    "searcher": _Row(
        reads=(SEARCH_REQUESTS, RELEASES, CATALOG, RULES, SKIPPED),
        writes=(SEARCH_RESPONSES, SEARCHES, SEARCHER_REPORTS),
        groups=("searcher-{deployment}",),
    ),
    # It takes records in, asks the searcher, and shows and does what operators ask of it
    "api": _Row(
        reads=(
            API_KEYS,
            SEARCH_RESPONSES,
            SEARCHES,
            INTERACTIONS,
            RELEASES,
            DECISIONS,
            TRAINING_TRIGGERS,
            TRAINING_RUNS,
            DEPLOYMENT_COMMANDS,
            RULES,
            JUDGMENTS,
            SEARCHER_REPORTS,
            EVENTS,
            CONTRIBUTIONS,
            PAIRS,
            CATALOG,
            SKIPPED,
            *(dead_letters_of(topic) for topic in TOPICS if topic.dead_letters),
        ),
        writes=(*RAW, SEARCH_REQUESTS, TRAINING_TRIGGERS, DEPLOYMENT_COMMANDS, RULES, JUDGMENTS),
    ),
    "operators": _Row(
        reads=WITH_DEAD_LETTERS,
        writes=(
            *RAW,
            API_KEYS,
            SEARCH_REQUESTS,
            TRAINING_TRIGGERS,
            DEPLOYMENT_COMMANDS,
            RULES,
            JUDGMENTS,
            PICTURES,
            SKIPPED,
        ),
    ),
    "producers": _Row(writes=RAW),
    "clients": _Row(reads=(SEARCH_RESPONSES,), writes=(SEARCH_REQUESTS,)),
}
PRINCIPALS = tuple(_ROWS)


def _row_of(principal: str) -> _Row:
    """Half of a process (``stream-learn``) has the row of the whole; who has none is an operator."""
    return _ROWS.get(principal.partition("-")[0], _ROWS["operators"])


def topics_of(principal: str) -> tuple[Topic, ...]:
    """Return the topics that a principal reads or writes, in the order of the table of topics."""
    row = _row_of(principal)
    names = {topic.name for topic in (*row.reads, *row.writes)}
    return tuple(topic for topic in WITH_DEAD_LETTERS if topic.name in names)


def rights_of(principal: str, settings: Settings) -> Iterator[Right]:
    """Yield what a principal needs on this cluster: topics first, then groups and transactional ids.

    No right to create topics is among them: they are made as ``searchloop acl`` prints them.
    """
    row = _row_of(principal)
    for topic in topics_of(principal):
        operations = ["Describe", "DescribeConfigs"]
        operations += ["Read"] * _holds(row.reads, topic) + ["Write"] * _holds(row.writes, topic)
        yield Right(principal, "topic", settings.topic(topic.name), tuple(operations))
    for group in row.groups:
        name = settings.topic(group.format(deployment=settings.deployment))
        yield Right(principal, "group", name, ("Describe", "Read"))
    for name in row.transactions:
        yield Right(
            principal, "transactional-id", f"{settings.topic(name)}-", ("Describe", "Write"), prefixed=True
        )
    if principal == "operators":  # lags and commits of everybody
        yield Right(principal, "group", settings.topic_prefix, ("Describe",), prefixed=True)


def _holds(topics: Sequence[Topic], topic: Topic) -> bool:
    return any(topic.name == other.name for other in topics)


def every_right(settings: Settings) -> list[Right]:
    """Return what all principals need."""
    return [right for principal in PRINCIPALS for right in rights_of(principal, settings)]


def needed(rights: Iterable[Right], kind: Kind, name: str) -> tuple[str, ...]:
    """Return the operations that the rights allow on a resource; empty when it is none of theirs."""
    for right in rights:
        if right.kind == kind and (name.startswith(right.name) if right.prefixed else name == right.name):
            return right.operations
    return ()
