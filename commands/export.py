"""``export pairs``: what was learnt as flat rows, for a sink or a warehouse that has no use for maps whose keys are days and hashes.

``pairs`` itself is a table of this project: its values carry fences, and its partitions the marks of their writers. Rows of that kind
are none of an outsider's business and are left out here.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from commands.support.session import find_settings, out, show_json, stop
from commands.support.topic_state import read_all_pairs
from schemas.pairs import Pair

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, object]


def counts_of(pairs: Iterable[Pair]) -> Iterator[Row]:
    """Yield a row per pair, day and action: credit in whole units, units, revenue in minor units; net of what was taken back."""
    for pair in pairs:
        for day, actions in sorted(pair.days.items()):
            date = (_EPOCH + timedelta(days=day)).date().isoformat()
            for action, (credit, units, revenue) in sorted(actions.items()):
                yield {
                    "query": pair.query, "product_id": pair.product_id, "day": date, "action": action.value,
                    "credit": credit / 1000, "units": units, "revenue_minor": revenue,
                }  # fmt: skip


def clients_of(pairs: Iterable[Pair]) -> Iterator[Row]:
    """Yield a row per pair and client hash: its net credit in whole units. Of more than 64 clients the smallest hashes are there."""
    for pair in pairs:
        for client, credit in sorted(pair.clients.items()):
            yield {"query": pair.query, "product_id": pair.product_id, "client": client, "credit": credit / 1000}


def export_pairs(folder: Path, *, data_dir: Path | None, as_json: bool) -> None:
    """Write ``pairs_counts.jsonl`` and ``pairs_clients.jsonl`` from all that ``pairs`` holds now, each moved to its place when whole."""
    settings = find_settings(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        pairs = sorted(asyncio.run(read_all_pairs(settings)), key=lambda p: (p.query, p.product_id))
    except LookupError as error:
        stop(str(error))
    written = {
        name: _write(folder / f"pairs_{name}.jsonl", rows) for name, rows in (("counts", counts_of(pairs)), ("clients", clients_of(pairs)))
    }
    if as_json:
        show_json({"folder": folder, "pairs": len(pairs), **written})
        return
    for name, count in written.items():
        out.print(f"{folder / f'pairs_{name}.jsonl'}: {count} rows of {len(pairs)} pairs")


def _write(target: Path, rows: Iterable[Row]) -> int:
    unfinished, count = target.with_suffix(".unfinished"), 0
    with unfinished.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    unfinished.replace(target)
    return count
