"""``dlq list|show|replay|skip``: what was refused and why, and what can be done about it.

It is sent again after a mend, and what nobody foresaw is skipped.
"""

import asyncio
import getpass
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.dead_letters import MAX_REPLAYS, again, cut, dead_letter, identity_of_letter, reason_of
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from broker.skipping import Skip, skip
from broker.topics import ensure_topics
from commands.support.letters import chosen, read_letters
from commands.support.meter import metered
from commands.support.session import find_settings, out, show_json, stop, table
from schemas.rejections import Problem, Reason, Rejection
from schemas.settings import Settings
from schemas.topics import RAW, SKIPPED, TOPICS, dead_letter_name

_CHUNK = 500
SKIPPABLE = tuple(t for t in TOPICS if t is not SKIPPED)  # that one must be read whole to know what to skip


def list_letters(
    *,
    topic: str | None,
    refused_for: str | None,
    since_hours: float | None,
    until_hours: float | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Count dead letters by topic and reason."""
    settings = find_settings(data_dir)
    letters = _read(settings, topic, refused_for, since_hours, until_hours)
    counts = Counter((r.topic.removeprefix(settings.topic_prefix), reason_of(r)) for r in letters)
    if as_json:
        show_json([{"topic": t, "reason": why, "count": n} for (t, why), n in sorted(counts.items())])
    else:
        table(
            "dead letters",
            ["topic", "reason", "count"],
            [(t, why, n) for (t, why), n in sorted(counts.items())],
        )


def show_letters(
    *,
    topic: str | None,
    refused_for: str | None,
    since_hours: float | None,
    until_hours: float | None,
    limit: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show single dead letters: the original bytes and what was wrong with them."""
    letters = _read(find_settings(data_dir), topic, refused_for, since_hours, until_hours)[-limit:]
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
    refused_for: str | None,
    since_hours: float | None,
    until_hours: float | None,
    limit: int,
    dry_run: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Send dead letters to the topic they came from; one that was replayed three times stays where it is.

    Of a record that was refused again after a replay, only its newest letter counts.
    """
    if topic is not None and topic not in {t.name for t in RAW}:
        stop(
            (
                f"only raw topics get their letters again: {', '.join(t.name for t in RAW)}; what is meant "
                f"for {topic!r} is said anew"
            ),
            code=2,
        )
    settings = find_settings(data_dir)
    newest = _newest(_read(settings, topic, None, None, None), settings)
    letters = chosen(newest, refused_for, _hours(since_hours), _hours(until_hours))
    ready = [r for r in map(again, letters) if r is not None]
    sending = ready[:limit]
    too_large = 0 if dry_run else asyncio.run(_send(settings, sending))
    facts = {
        "found": len(letters),
        "replayed": 0 if dry_run else len(sending) - too_large,
        "would_replay": len(sending),
        "capped": len(letters) - len(ready),
        "left": len(ready) - len(sending),
        "too_large": too_large,
    }
    if as_json:
        show_json(facts)
    else:
        out.print(
            f"found {facts['found']}, {'would replay' if dry_run else 'replayed'} "
            f"{len(sending) - too_large}, "
            f"{facts['capped']} were replayed {MAX_REPLAYS} times already, {facts['left']} left by the "
            "limit, "
            f"{too_large} are too large for the topic and stay dead letters"
        )


def _read(
    settings: Settings,
    topic: str | None,
    reason: str | None,
    since_hours: float | None,
    until_hours: float | None,
) -> list[Record]:
    """Read the letters that fit, and show how many were read."""
    since, until = _hours(since_hours), _hours(until_hours)
    with metered("reading dead letters", "letters") as meter:
        return asyncio.run(
            read_letters(
                settings, topic=topic, reason=reason, since=since, until=until, on_read=meter.advance
            )
        )


def _newest(letters: Iterable[Record], settings: Settings) -> list[Record]:
    """Return the letters of the raw topics; of each record only its newest."""
    raw = {settings.topic(dead_letter_name(t.name)) for t in RAW}
    newest = {identity_of_letter(letter): letter for letter in letters}
    return [letter for letter in newest.values() if letter.topic in raw]


def skip_record(
    topic: str, partition: int, offset: int, *, reason: str, data_dir: Path | None, as_json: bool
) -> None:
    """Make every process skip one record from its next start on.

    It becomes a dead letter that says who wanted it and why.
    """
    if topic not in {t.name for t in SKIPPABLE}:
        stop(f"{topic!r} is none of {', '.join(t.name for t in SKIPPABLE)}", code=2)
    settings = find_settings(data_dir)
    order = skip(
        settings.topic(topic), partition, offset, by=getpass.getuser(), reason=reason, now=datetime.now(UTC)
    )
    letter = asyncio.run(_skip(settings, order))
    facts = {
        "topic": order.topic,
        "partition": partition,
        "offset": offset,
        "by": order.by,
        "reason": reason,
        "dead_letter": letter,
    }
    if as_json:
        show_json(facts)
    else:
        kept = "its bytes are a dead letter" if letter else "nothing of it is kept"
        out.print(
            f"{order.topic}/{partition}/{offset} will be skipped by every process that starts from now on; "
            f"{kept}"
        )


def _hours(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


async def _skip(settings: Settings, order: Skip) -> bool:
    """Write the order, and first the letter of a topic that has letters; say whether there is one."""
    place = (order.topic, order.partition)
    await ensure_topics(settings)
    async with open_reader(settings, [order.topic], start="end") as reader:
        end = (await reader.end_offsets()).get(place, 0)
    if order.offset >= end:
        stop(f"{order.topic}/{order.partition} has no offset {order.offset}: it ends before {end}", code=2)
    async with open_reader(settings, [order.topic], only=[place], start={place: order.offset}) as reader:
        first = [r async for r in reader.until({place: order.offset + 1})][:1]
    problem = Problem(loc="", type="skipped", message=f"skipped by {order.by} at {order.at}: {order.reason}")
    rejection = Rejection(reason=Reason.PROCESSING_ERROR, problems=[problem])
    known = {settings.topic(t.name) for t in TOPICS if t.dead_letters}
    letters = [
        dead_letter(r, rejection, stage="operator")
        for r in first
        if r.offset == order.offset and r.topic in known
    ]
    async with open_producer(settings, codec="gzip") as producer:
        await producer.send_all(letters, instead=cut)
        await producer.send(order.outgoing(settings))
    return bool(letters)


async def _send(settings: Settings, records: list[Outgoing]) -> int:
    """Write records; return how many are too large."""
    too_large = 0
    with metered("sending again", "letters", total=len(records)) as meter:
        async with open_producer(settings, linger_ms=20) as producer:
            for start in range(0, len(records), _CHUNK):
                chunk = records[start : start + _CHUNK]
                too_large += len(await producer.send_fitting(chunk))
                meter.advance(len(chunk))
    return too_large
