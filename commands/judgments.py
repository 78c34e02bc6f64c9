"""``judgments list|export|import|remove``: named sets of an operator's own ratings, on their topic.

Every run scores them. What is printed as done is acknowledged by the broker.
"""

import asyncio
import sys
from pathlib import Path

from commands.support.judgment_files import ensure_set_name, ratings_of
from commands.support.judgment_sets import named_set, ratings_in, read_sets, replace_set
from commands.support.session import find_settings, out, show_json, table
from operations.judgment_lines import as_csv, as_lines
from schemas.settings import Settings
from trainer.run.folder import write_durably


def list_sets(*, data_dir: Path | None, as_json: bool) -> None:
    """List the sets."""
    found = asyncio.run(read_sets(find_settings(data_dir)))
    rows = []
    for name, judged in found.items():
        last = max(judged.values(), key=lambda one: one.at)
        rated = sum(len(one.ratings) for one in judged.values())
        rows.append((name, len(judged), rated, last.at.isoformat(timespec="seconds"), last.actor))
    columns = ["name", "queries", "ratings", "at", "actor"]
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table("judgment sets", columns, rows)


def export(name: str, file: Path | None, *, data_dir: Path | None) -> None:
    """Write a set to a file, or to stdout."""
    ratings = ratings_in(named_set(asyncio.run(read_sets(find_settings(data_dir))), name))
    as_table = file is not None and file.suffix.lower() == ".csv"
    text = as_csv(ratings) if as_table else as_lines(ratings)
    if file is None:
        sys.stdout.write(text)
    else:
        write_durably(file.absolute(), text.encode())


def import_set(name: str, file: Path, *, data_dir: Path | None, as_json: bool) -> None:
    """Put what a file says in place of a set. Exit code 2, and nothing written, for a wrong file or name."""
    ensure_set_name(name)
    ratings = ratings_of(file)
    settings = find_settings(data_dir)
    asyncio.run(replace_set(settings, name, ratings))
    told = {"name": name, "queries": len(ratings), "ratings": sum(map(len, ratings.values()))}
    if as_json:
        show_json(told)
    else:
        out.print(f"{name}: {told['queries']} queries, {told['ratings']} ratings", highlight=False)


def remove_set(name: str, *, data_dir: Path | None, as_json: bool) -> None:
    """Forget a set."""
    settings = find_settings(data_dir)
    gone = asyncio.run(_remove(settings, name))
    if as_json:
        show_json({"removed": name, "queries": gone})
    else:
        out.print(f"{name} is removed: {gone} queries", highlight=False)


async def _remove(settings: Settings, name: str) -> int:
    before = named_set(await read_sets(settings), name)
    await replace_set(settings, name, {})
    return len(before)
