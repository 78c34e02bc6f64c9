"""``export``: searches and interactions as UBI files, or what was learnt as flat rows.

The rows are for a sink or a warehouse. ``pairs`` itself is a table of this project: its values carry fences,
and its partitions the marks of their writers. Rows of that kind are none of an outsider's business and are
left out here.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from broker.reading import open_reader
from broker.records import Record
from commands.support.meter import Meter, metered
from commands.support.session import find_settings, out, show_json
from commands.support.topic_state import read_all_pairs
from inbound.envelope import decode
from inbound.importers.outcome import Body, Skipped
from inbound.importers.ubi_export import events_of, query_of
from schemas.events import Interaction, Search
from schemas.pairs import Pair
from schemas.rejections import Rejection
from schemas.settings import Settings, StreamSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, object]


def export(form: Literal["ubi", "pairs"], folder: Path, *, data_dir: Path | None, as_json: bool) -> None:
    """Write the files of a form into a folder."""
    (export_ubi if form == "ubi" else export_pairs)(folder, data_dir=data_dir, as_json=as_json)


def counts_of(pairs: Iterable[Pair]) -> Iterator[Row]:
    """Yield a row per pair, day and action: credit in whole units, units, revenue in minor units.

    Net of what was taken back.
    """
    for pair in pairs:
        for day, actions in sorted(pair.days.items()):
            date = (_EPOCH + timedelta(days=day)).date().isoformat()
            for action, (credit, units, revenue) in sorted(actions.items()):
                yield {
                    "query": pair.query, "product_id": pair.product_id, "day": date, "action": action.value,
                    "credit": credit / 1000, "units": units, "revenue_minor": revenue,
                }  # fmt: skip


def clients_of(pairs: Iterable[Pair]) -> Iterator[Row]:
    """Yield a row per pair and client hash: its net credit in whole units.

    Of more than 64 clients the smallest hashes are there.
    """
    for pair in pairs:
        for client, credit in sorted(pair.clients.items()):
            yield {
                "query": pair.query,
                "product_id": pair.product_id,
                "client": client,
                "credit": credit / 1000,
            }


def export_pairs(folder: Path, *, data_dir: Path | None, as_json: bool) -> None:
    """Write ``pairs_counts.jsonl`` and ``pairs_clients.jsonl`` from all that ``pairs`` holds now.

    Each is moved to its place when whole.
    """
    settings = find_settings(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with metered("reading pairs", "rows") as meter:
        pairs = sorted(asyncio.run(read_all_pairs(settings)), key=lambda p: (p.query, p.product_id))
        written = {
            name: _write(folder / f"pairs_{name}.jsonl", rows, meter)
            for name, rows in (("counts", counts_of(pairs)), ("clients", clients_of(pairs)))
        }
    if as_json:
        show_json({"folder": folder, "pairs": len(pairs), **written})
        return
    for name, count in written.items():
        out.print(f"{folder / f'pairs_{name}.jsonl'}: {count} rows of {len(pairs)} pairs")


def _write(target: Path, rows: Iterable[Row], meter: Meter) -> int:
    unfinished, count = target.with_suffix(".unfinished"), 0
    meter.begin(f"writing {target.name}")
    with unfinished.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
            meter.reach(count)
    unfinished.replace(target)
    return count


def export_ubi(folder: Path, *, data_dir: Path | None, as_json: bool) -> None:
    """Write ``ubi_queries.jsonl`` and ``ubi_events.jsonl``.

    From all that ``searches`` and ``interactions`` hold now.
    """
    settings = find_settings(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with metered("exporting", "records") as meter:
        counts = {name: asyncio.run(_export(settings, name, folder, meter)) for name in ("queries", "events")}
    if as_json:
        show_json({"folder": folder, **counts})
        return
    for name, count in counts.items():
        out.print(f"{folder / f'ubi_{name}.jsonl'}: " + ", ".join(f"{n} {what}" for what, n in count.items()))


async def _export(settings: Settings, name: str, folder: Path, meter: Meter) -> dict[str, int]:
    """Write one file beside its place, then move it there: a reader never sees half of it."""
    topic = settings.topic("searches" if name == "queries" else "interactions")
    max_bytes = StreamSettings.load(os.environ).max_record_bytes
    count = Counter[str](records=0, written=0)
    target = folder / f"ubi_{name}.jsonl"
    unfinished = target.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        async with open_reader(settings, [topic]) as reader:
            ends = await reader.end_offsets()
            async for record in reader.until(ends):
                if record.offset >= ends[topic, record.partition]:
                    continue
                count["records"] += 1
                meter.advance()
                found = _as_ubi(record, name, max_bytes)
                if isinstance(found, str):
                    count[f"skipped: {found}"] += 1
                    continue
                count["written"] += len(found)
                file.writelines(json.dumps(body, ensure_ascii=False) + "\n" for body in found)
    unfinished.replace(target)
    return dict(count)


def _as_ubi(record: Record, name: str, max_bytes: int) -> list[Body] | str:
    """Return the UBI records of one of ours, or why there are none."""
    found: list[Body] | Body | Skipped
    if name == "queries":
        search = decode(record, Search, max_bytes=max_bytes)
        if isinstance(search, Rejection):
            return search.reason.value
        found = query_of(search.message)
    else:
        interaction = decode(record, Interaction, max_bytes=max_bytes)
        if isinstance(interaction, Rejection):
            return interaction.reason.value
        found = events_of(interaction.message)
    if isinstance(found, Skipped):
        return found.why.value
    return found if isinstance(found, list) else [found]
