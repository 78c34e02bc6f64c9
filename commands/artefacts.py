"""``artefacts``: what releases are made of, in the store, and removing what nobody needs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from artefacts.collecting import collect, evidence_of, needed
from artefacts.folders import AGE, KINDS, StoredFolderError, names_of, unnamed
from artefacts.located import folders_of
from commands.support.meter import metered
from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_releases, read_runs
from schemas.releases import Release
from schemas.settings import Settings
from schemas.training import TrainingRun


def list_folders(*, data_dir: Path | None, as_json: bool) -> None:
    """List every folder with when it was put and what needs it, the newest first."""
    settings = find_settings(data_dir)
    releases, runs = asyncio.run(_named(settings))
    with _told("reading the store"):
        put = folders_of(settings).found()
    users: dict[str, list[int]] = {}
    for release in releases:
        for name in names_of(release) & needed([release]):
            users.setdefault(name, []).append(release.generation)
    kept = needed(releases, runs)
    tellers: dict[str, list[str]] = {}
    for run in runs:
        for name in evidence_of(run) & kept:
            tellers.setdefault(name, []).append(run.run_id)
    rows = [
        (name, put[name], users.get(name, []), tellers.get(name, []))
        for name in sorted(put, key=lambda n: put[n], reverse=True)
    ]
    if as_json:
        show_json(
            {
                "folders": [
                    {"name": n, "put_at": at.isoformat(), "needed_by": by, "of_runs": told}
                    for n, at, by, told in rows
                ]
            }
        )
        return
    table(
        "the store",
        ["folder", "put", "needed by generations", "and by runs"],
        [(name, str(at)[:19], ", ".join(map(str, by)), ", ".join(told)) for name, at, by, told in rows],
    )


def gc(*, dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Remove what no generation and no kept run needs, or say what that is."""
    settings, now = find_settings(data_dir), datetime.now(UTC)
    releases, runs = asyncio.run(_named(settings))
    store = folders_of(settings)
    with _told("looking for what nobody needs" if dry_run else "removing what nobody needs"):
        if not dry_run:
            gone = collect(store, releases, runs, now=now)
        elif releases:
            gone = unnamed(store.found(), needed(releases, runs), kinds=KINDS, before=now - AGE)
        else:
            gone = []
    if as_json:
        show_json({"would_remove" if dry_run else "removed": gone})
        return
    for name in gone:
        out.print(name, highlight=False)
    out.print(f"{'would remove' if dry_run else 'removed'} {len(gone)}", highlight=False)


async def _named(settings: Settings) -> tuple[list[Release], list[TrainingRun]]:
    """Return generations and runs: what they name is needed."""
    _, releases = await read_releases(settings)
    return releases, await read_runs(settings)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        with metered(what):
            yield
    except (StoredFolderError, OSError) as error:
        stop(str(error))
