"""``send``: put a file of JSON lines on a raw topic, checked before by the same rules that intake applies."""

import asyncio
import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from commands.session import err, find_settings, out, show_json, stop
from schemas.rejections import Rejection
from schemas.settings import Settings, StreamSettings
from stream.validation import validate_interaction, validate_product, validate_search

Validator = Callable[[Record, datetime, StreamSettings], object]
VALIDATORS: dict[str, Validator] = {
    "searches": validate_search,
    "interactions": validate_interaction,
    "products": lambda record, _now, rules: validate_product(record, rules),
}
_CHUNK = 500


def read_lines(file: str) -> Iterator[bytes]:
    """Yield the non-empty lines of a file, a ``.gz`` file, or ``-`` for stdin."""
    source: IO[bytes] | gzip.GzipFile
    if file == "-":
        source = sys.stdin.buffer
    elif file.endswith(".gz"):
        source = gzip.open(file, "rb")  # noqa: SIM115 (closed below with the others)
    else:
        source = Path(file).open("rb")  # noqa: SIM115
    with source:
        for line in source:
            if line.strip():
                yield line.strip()


def key_of(topic: str, line: bytes) -> bytes | None:
    """Return the record key of a line: the product id, or the shopper; None when it has neither."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    names = ("product_id",) if topic == "products" else ("client_id", "session_id", "user_id", "query_id")
    found = next((fields[n] for n in names if isinstance(fields, dict) and fields.get(n) is not None), None)
    return None if found is None else str(found).encode()


def send(topic: str, file: str, *, data_dir: Path | None, as_json: bool, send_invalid: bool) -> None:
    """Send every valid line, say what was refused and why; exit code 1 when anything was refused."""
    if topic not in VALIDATORS:
        stop(f"unknown topic {topic!r}: expected one of {', '.join(VALIDATORS)}", code=2)
    if file != "-" and not Path(file).exists():
        stop(f"file {file!r} does not exist", code=2)
    sent, refused, first = asyncio.run(_send(find_settings(data_dir), topic, file, send_invalid=send_invalid))
    if as_json:
        show_json({"topic": topic, "sent": sent, "refused": dict(refused)})
    else:
        out.print(f"sent {sent} records to {topic}" + (f", refused {refused.total()}: {dict(refused)}" if refused else ""))
        for line, reason in first:
            err.print(f"  line {line}: {reason}", highlight=False)
    if refused and not send_invalid:
        raise SystemExit(1)


async def _send(settings: Settings, topic: str, file: str, *, send_invalid: bool) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    rules = StreamSettings.load(os.environ)
    full = settings.topic(topic)
    sent, refused, first = 0, Counter[str](), list[tuple[int, str]]()
    await ensure_topics(settings, deadline_s=10)
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed} sent"), TimeElapsedColumn(), console=err)
    async with open_producer(settings.kafka, linger_ms=20) as producer:
        with bar:
            task = bar.add_task(f"sending {file} to {topic}", total=None)
            chunk: list[Outgoing] = []
            for number, line in enumerate(read_lines(file), start=1):
                key = key_of(topic, line)
                verdict = VALIDATORS[topic](Record(full, 0, number, 0, key, line), datetime.now(UTC), rules)
                if isinstance(verdict, Rejection):
                    refused[verdict.reason.value] += 1
                    if len(first) < 10:
                        first.append((number, f"{verdict.reason}: {'; '.join(f'{p.loc} {p.message}' for p in verdict.problems)}"))
                    if not send_invalid:
                        continue
                chunk.append(Outgoing(full, line, key=key))
                if len(chunk) >= _CHUNK:
                    await producer.send_all(chunk)
                    sent += len(chunk)
                    chunk = []
                    bar.update(task, completed=sent)
            await producer.send_all(chunk)
            sent += len(chunk)
            bar.update(task, completed=sent)
    return sent, refused, first
