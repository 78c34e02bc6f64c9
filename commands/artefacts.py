"""``artefacts``: what releases are made of, in the store, and removing what nobody needs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from artefacts.collecting import collect, needed
from artefacts.folders import AGE, KINDS, StoredFolderError, names_of, unnamed
from artefacts.located import folders_of
from commands.support.meter import metered
from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_releases


def list_folders(*, data_dir: Path | None, as_json: bool) -> None:
    """List every folder with when it was put and the generations that need it, the newest first."""
    settings = find_settings(data_dir)
    _, releases = asyncio.run(read_releases(settings))
    with _told("reading the store"):
        put = folders_of(settings).found()
    users: dict[str, list[int]] = {}
    for release in releases:
        for name in names_of(release) & needed([release]):
            users.setdefault(name, []).append(release.generation)
    rows = [
        (name, put[name], users.get(name, [])) for name in sorted(put, key=lambda n: put[n], reverse=True)
    ]
    if as_json:
        show_json({"folders": [{"name": n, "put_at": at.isoformat(), "needed_by": by} for n, at, by in rows]})
        return
    table(
        "the store",
        ["folder", "put", "needed by generations"],
        [(name, str(at)[:19], ", ".join(map(str, by))) for name, at, by in rows],
    )


def gc(*, dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Remove what no generation needs, or say what that is."""
    settings, now = find_settings(data_dir), datetime.now(UTC)
    _, releases = asyncio.run(read_releases(settings))
    store = folders_of(settings)
    with _told("looking for what nobody needs" if dry_run else "removing what nobody needs"):
        if not dry_run:
            gone = collect(store, releases, now=now)
        else:
            gone = unnamed(store.found(), needed(releases), kinds=KINDS, before=now - AGE) if releases else []
    if as_json:
        show_json({"would_remove" if dry_run else "removed": gone})
        return
    for name in gone:
        out.print(name, highlight=False)
    out.print(f"{'would remove' if dry_run else 'removed'} {len(gone)}", highlight=False)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        with metered(what):
            yield
    except (StoredFolderError, OSError) as error:
        stop(str(error))
