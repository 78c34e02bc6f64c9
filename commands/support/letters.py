"""Reading dead letters, and choosing among them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from broker.dead_letters import reason_of
from broker.reading import open_reader
from broker.records import Record
from commands.support.session import stop
from schemas.rejections import Reason
from schemas.settings import Settings
from schemas.topics import TOPICS, dead_letter_name


async def read_letters(
    settings: Settings,
    *,
    topic: str | None,
    reason: str | None,
    since: timedelta | None,
    until: timedelta | None,
    on_read: Callable[[], object] = lambda: None,
) -> list[Record]:
    """Return the dead letters that fit, in the order of the log; each one read is told to ``on_read``."""
    names = [
        settings.topic(dead_letter_name(t.name)) for t in TOPICS if t.dead_letters and topic in {None, t.name}
    ]
    if not names:
        stop(
            (
                f"topic {topic!r} has no dead letters; those that have: "
                f"{', '.join(t.name for t in TOPICS if t.dead_letters)}"
            ),
            code=2,
        )
    async with open_reader(settings, names) as reader:
        records = []
        async for record in reader.until(await reader.end_offsets()):
            records.append(record)
            on_read()
    return chosen(records, reason, since, until)


def chosen(
    records: Iterable[Record], reason: str | None, since: timedelta | None, until: timedelta | None
) -> list[Record]:
    """Return the letters with that reason that were refused at most ``since`` and at least ``until`` ago.

    None chooses all.
    """
    if reason is not None and reason not in set(Reason):
        stop(f"{reason!r} is no reason; the reasons: {', '.join(Reason)}", code=2)
    now = datetime.now(UTC)
    oldest = 0.0 if since is None else (now - since).timestamp() * 1000
    newest = float("inf") if until is None else (now - until).timestamp() * 1000
    return [r for r in records if reason in {None, reason_of(r)} and oldest <= r.timestamp_ms <= newest]
