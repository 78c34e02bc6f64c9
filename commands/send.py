"""``send``: put files of JSON lines on raw topics, in order of event time.

They are checked before by the same rules that intake applies.
"""

import asyncio
import heapq
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydantic import AliasChoices

from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from commands.support.hints import after_refusals, not_lines
from commands.support.lines import ensure_readable, numbered_lines
from commands.support.meter import metered
from commands.support.session import err, find_settings, out, show_json, stop
from inbound.field_names import meant_by
from inbound.raw_records import fields_of, key_of
from inbound.validators import VALIDATORS
from schemas.base import Message, parse_timestamp
from schemas.decoding import load
from schemas.events import Erasure, Interaction, Search
from schemas.products import Product
from schemas.rejections import Reason, Rejection
from schemas.settings import Settings, StreamSettings

CONTRACTS: dict[str, type[Message]] = {
    "searches": Search,
    "interactions": Interaction,
    "erasures": Erasure,
    "products": Product,
}
_CHUNK = 500


def in_order(sources: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, int, bytes | Rejection]]:
    """Yield (topic, file, line number, line) of several files in the order of event time.

    Each file in its own order; products first. Searches of a month and then its clicks would be a month of
    disorder, and a shopper is remembered for a week. A time that intake would refuse does not order: a line
    of 2099 would hold back all of its file that comes after it.
    """
    now, rules = datetime.now(UTC), StreamSettings.load(os.environ)
    first, last = (now - rules.max_event_age).timestamp(), (now + rules.max_future).timestamp()

    def timed(topic: str, file: str) -> Iterator[tuple[float, tuple[str, str, int, bytes | Rejection]]]:
        at = float("-inf")
        for number, line in numbered_lines(file):
            if topic != "products" and len(sources) > 1 and isinstance(line, bytes):
                found = _time_of(line)
                at = max(at, found) if found is not None and first <= found <= last else at
            yield at, (topic, file, number, line)

    return (
        item
        for _, item in heapq.merge(
            *(timed(topic, file) for topic, file in sources), key=lambda found: found[0]
        )
    )


def _time_of(line: bytes) -> float | None:
    """Return the event time of a line, also of one in an envelope, in epoch seconds.

    None when it has none.
    """
    try:
        at = parse_timestamp(fields_of(line).get("timestamp"))
        at = datetime.fromisoformat(at) if isinstance(at, str) else at
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp() if isinstance(at, datetime) else None
    except (ValueError, OverflowError):
        return None


def judge_line(topic: str, number: int, line: bytes | Rejection, rules: StreamSettings) -> object:
    """Return what intake would make of a line: a clean message, or a rejection."""
    if isinstance(line, Rejection):
        return line
    return VALIDATORS[topic](Record(topic, 0, number, 0, key_of(topic, line), line), datetime.now(UTC), rules)


def unknown_fields(topic: str, line: bytes) -> set[str]:
    """Return the top-level names of a line that its topic's contract does not have: nobody reads them.

    Empty for a CloudEvents envelope.
    """
    fields = load(line)
    if isinstance(fields, Rejection) or "specversion" in fields:
        return set()
    known: set[object] = set()
    for name, field in CONTRACTS[topic].model_fields.items():
        known |= {
            name,
            *(field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()),
        }
    return set(fields) - known


def send(sources: list[str], *, data_dir: Path | None, as_json: bool, send_invalid: bool) -> None:
    """Send every valid line of topic, file, topic, file; say what was refused and why.

    Exit code 1 when anything was refused.
    """
    if len(sources) % 2:
        stop("a topic and a file are needed, or several such pairs", code=2)
    files = list(zip(sources[::2], sources[1::2], strict=True))
    for topic, file in files:
        if topic not in VALIDATORS:
            stop(f"unknown topic {topic!r}: expected one of {', '.join(VALIDATORS)}", code=2)
        ensure_readable(file)
    sent, refused, unknown, first = asyncio.run(
        _send(find_settings(data_dir), files, send_invalid=send_invalid)
    )
    if as_json:
        show_json({"sent": dict(sent), "refused": dict(refused), "unknown_fields": dict(unknown)})
    else:
        counts = ", ".join(f"{n} records to {topic}" for topic, n in sent.items()) or "nothing"
        out.print(f"sent {counts}" + (f", refused {refused.total()}: {dict(refused)}" if refused else ""))
        for place, reason in first:
            err.print(f"  {place}: {reason}", highlight=False)
        for name, count in unknown.most_common(10):
            topic, _, field = name.partition(".")
            meant = meant_by(topic, field, CONTRACTS[topic])
            err.print(
                f"  {name!r} is not a field of the contract: nobody reads it ({count} records)"
                + (f"; is it `{meant}`?" if meant else ""),
                highlight=False,
            )
        for hint in after_refusals(refused, StreamSettings.load(os.environ).max_event_age):
            err.print(f"  {hint}", highlight=False)
        if not sent and set(refused) == {Reason.JSON_DECODE.value}:
            err.print(f"  {not_lines(files[0][1])}", highlight=False)
    if refused and not send_invalid:
        raise SystemExit(1)


async def _send(
    settings: Settings, sources: Sequence[tuple[str, str]], *, send_invalid: bool
) -> tuple[Counter[str], Counter[str], Counter[str], list[tuple[str, str]]]:
    rules = StreamSettings.load(os.environ)
    sent, refused, unknown, first = Counter[str](), Counter[str](), Counter[str](), list[tuple[str, str]]()
    await ensure_topics(settings, deadline_s=10)
    async with open_producer(settings, linger_ms=20) as producer:
        with metered("sending", "records") as meter:
            chunk: list[Outgoing] = []
            for topic, file, number, line in in_order(sources):
                full, key = settings.topic(topic), key_of(topic, line) if isinstance(line, bytes) else None
                verdict = judge_line(topic, number, line, rules)
                if isinstance(verdict, Rejection):
                    refused[verdict.reason.value] += 1
                    if len(first) < 10:
                        problems = "; ".join(f"{p.loc} {p.message}" for p in verdict.problems)
                        first.append((f"{file} line {number}", f"{verdict.reason}: {problems}"))
                    if not send_invalid:
                        if verdict.reason is Reason.SCHEMA and isinstance(line, bytes):
                            unknown.update(f"{topic}.{name}" for name in unknown_fields(topic, line))
                        continue
                if isinstance(line, Rejection):  # there is nothing that could be sent
                    continue
                if isinstance(verdict, Rejection):
                    # A compacted topic takes nothing without a key
                    key = key or sha256(line).hexdigest().encode()
                chunk.append(Outgoing(full, line, key=key))
                sent[topic] += 1
                unknown.update(f"{topic}.{name}" for name in unknown_fields(topic, line))
                if len(chunk) >= _CHUNK:
                    await producer.send_all(chunk)
                    chunk = []
                    meter.reach(sent.total())
            await producer.send_all(chunk)
            meter.reach(sent.total())
    return sent, refused, unknown, first
