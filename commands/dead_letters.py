"""``dlq list|show|replay``: what was refused and why, and sending it again after a mend."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.dead_letters import MAX_REPLAYS, again, identity_of_letter, reason_of
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from commands.session import find_settings, out, show_json, stop, table
from schemas.rejections import Reason
from schemas.settings import Settings
from schemas.topics import TOPICS, dead_letter_name


async def read_letters(
    settings: Settings, *, topic: str | None, reason: str | None, since: timedelta | None, until: timedelta | None
) -> list[Record]:
    """Return the dead letters that fit, in the order of the log."""
    names = [settings.topic(dead_letter_name(t.name)) for t in TOPICS if t.dead_letters and topic in {None, t.name}]
    if not names:
        stop(f"topic {topic!r} has no dead letters; those that have: {', '.join(t.name for t in TOPICS if t.dead_letters)}", code=2)
    async with open_reader(settings.kafka, names) as reader:
        records = [r async for r in reader.until(await reader.end_offsets())]
    return chosen(records, reason, since, until)


def chosen(records: Iterable[Record], reason: str | None, since: timedelta | None, until: timedelta | None) -> list[Record]:
    """Return the letters with that reason that were refused at most ``since`` and at least ``until`` ago; None chooses all."""
    if reason is not None and reason not in set(Reason):
        stop(f"{reason!r} is no reason; the reasons: {', '.join(Reason)}", code=2)
    now = datetime.now(UTC)
    oldest = 0.0 if since is None else (now - since).timestamp() * 1000
    newest = float("inf") if until is None else (now - until).timestamp() * 1000
    return [r for r in records if reason in {None, reason_of(r)} and oldest <= r.timestamp_ms <= newest]


def list_letters(
    *, topic: str | None, reason: str | None, since: timedelta | None, until: timedelta | None, data_dir: Path | None, as_json: bool
) -> None:
    """Count dead letters by topic and reason."""
    settings = find_settings(data_dir)
    letters = asyncio.run(read_letters(settings, topic=topic, reason=reason, since=since, until=until))
    counts = Counter((r.topic.removeprefix(settings.topic_prefix), reason_of(r)) for r in letters)
    if as_json:
        show_json([{"topic": t, "reason": why, "count": n} for (t, why), n in sorted(counts.items())])
    else:
        table("dead letters", ["topic", "reason", "count"], [(t, why, n) for (t, why), n in sorted(counts.items())])


def show_letters(
    *,
    topic: str | None,
    reason: str | None,
    since: timedelta | None,
    until: timedelta | None,
    limit: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show single dead letters: the original bytes and what was wrong with them."""
    letters = asyncio.run(read_letters(find_settings(data_dir), topic=topic, reason=reason, since=since, until=until))[-limit:]
    rows = [
        {
            "topic": r.topic,
            "offset": r.offset,
            "reason": reason_of(r),
            "key": (r.key or b"").decode(errors="replace"),
            "errors": (r.header("dlq.errors") or b"[]").decode(errors="replace"),
            "value": (r.value or b"").decode(errors="backslashreplace")[:2000],
        }
        for r in letters
    ]
    if as_json:
        show_json(rows)
    else:
        table(
            "dead letters",
            ["topic", "offset", "reason", "errors", "value"],
            [(r["topic"], r["offset"], r["reason"], r["errors"], str(r["value"])[:200]) for r in rows],
        )


def replay_letters(
    *,
    topic: str | None,
    reason: str | None,
    since: timedelta | None,
    until: timedelta | None,
    limit: int,
    dry_run: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Send dead letters to the topic they came from; one that was replayed three times stays where it is.

    Of a record that was refused again after a replay, only its newest letter counts.
    """
    settings = find_settings(data_dir)
    newest = {identity_of_letter(r): r for r in asyncio.run(read_letters(settings, topic=topic, reason=None, since=None, until=None))}
    letters = chosen(newest.values(), reason, since, until)
    ready = [r for r in map(again, letters) if r is not None]
    sending = ready[:limit]
    if not dry_run:
        asyncio.run(_send(settings, sending))
    facts = {
        "found": len(letters),
        "replayed": 0 if dry_run else len(sending),
        "would_replay": len(sending),
        "capped": len(letters) - len(ready),
        "left": len(ready) - len(sending),
    }
    if as_json:
        show_json(facts)
    else:
        out.print(
            f"found {facts['found']}, {'would replay' if dry_run else 'replayed'} {len(sending)}, "
            f"{facts['capped']} were replayed {MAX_REPLAYS} times already, {facts['left']} left by the limit"
        )


async def _send(settings: Settings, records: list[Outgoing]) -> None:
    async with open_producer(settings.kafka, linger_ms=20) as producer:
        await producer.send_all(records)
