"""The named sets of the topic ``judgments``: read, and one put in place of what it was."""

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime

from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.support.session import stop
from commands.support.topic_state import own
from operations.judgment_lines import Ratings
from schemas.judged_queries import RatedQuery, judged_key
from schemas.settings import Settings
from schemas.topics import JUDGMENTS

# Of a set its queries, with their ratings.
Sets = Mapping[str, Mapping[str, RatedQuery]]


async def read_sets(settings: Settings) -> Sets:
    """Return every set by its name, its queries in alphabetical order."""
    await ensure_topics(settings)
    state = await read_compacted(settings, settings.topic(JUDGMENTS.name))
    found: dict[str, dict[str, RatedQuery]] = {}
    for judged in sorted(
        own(RatedQuery.from_json, lambda one: judged_key(one.name, one.query), state),
        key=lambda one: (one.name, one.query),
    ):
        found.setdefault(judged.name, {})[judged.query] = judged
    return found


async def replace_set(settings: Settings, name: str, ratings: Ratings) -> None:
    """Make a set what ``ratings`` say and nothing else; queries that say so already are not written again.

    Without ratings the set is gone. Raises ``ValidationError`` for a name or ratings that no set can have.
    """
    before = (await read_sets(settings)).get(name, {})
    actor, now = getpass.getuser(), datetime.now(UTC)
    judged = [
        RatedQuery(name=name, query=query, ratings=dict(rated), actor=actor, at=now)
        for query, rated in ratings.items()
        if query not in before or before[query].ratings != rated
    ]
    topic, headers = settings.topic(JUDGMENTS.name), (("actor", actor.encode(errors="replace")),)
    records = [Outgoing(topic, one.to_json(), key=judged_key(name, one.query)) for one in judged]
    records += [
        Outgoing(topic, None, key=judged_key(name, query), headers=headers)
        for query in before
        if query not in ratings
    ]
    if records:
        async with open_producer(settings, linger_ms=5) as producer:
            await producer.send_all(records)


def named_set(found: Sets, name: str) -> Mapping[str, RatedQuery]:
    """Return a set; stops where there is none of this name."""
    if name not in found:
        stop(f"there is no judgment set {name!r}; `searchloop judgments list` shows them")
    return found[name]


def ratings_in(judged: Mapping[str, RatedQuery]) -> Ratings:
    """Return what the queries of a set say."""
    return {query: one.ratings for query, one in judged.items()}
