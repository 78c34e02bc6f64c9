"""``status``: what runs, what serves, and how full the topics are."""

import asyncio
import json
from collections import Counter
from pathlib import Path

from broker.reading import open_reader
from commands.support.pages import read_late, read_page
from commands.support.session import find_settings, out, show_json, table
from commands.support.topic_state import read_releases, read_runs
from retrieval.naming import stamp_of
from schemas.hidden import redacted
from schemas.settings import PROCESS_SETTINGS, Settings
from schemas.topics import WITH_DEAD_LETTERS


def status(*, data_dir: Path | None, as_json: bool) -> None:
    """Show processes, live generation, last run and how full the topics are.

    Exit code 1 unless all are ready.
    """
    settings = find_settings(data_dir)
    facts = asyncio.run(_status(settings))
    if as_json:
        show_json(facts)
    else:
        processes: dict[str, dict[str, object]] = facts["processes"]  # type: ignore[assignment]
        table(
            "processes",
            ["process", "ready", "detail"],
            [(n, str(p.pop("ready", False)), json.dumps(p)) for n, p in processes.items()],
        )
        out.print(
            (
                f"Kafka: {facts['kafka']}    Milvus: {facts['milvus']}    topics begin with: "
                f"{settings.topic_prefix}"
            ),
            highlight=False,
        )
        live = f"{facts['generation']}{_refreshed(facts['refresh_of'])}"
        out.print(
            f"live generation: {live}    last run: {facts['last_run']}    events too late "
            f"to count: {facts['late']}"
        )
        counts: dict[str, int] = facts["topics"]  # type: ignore[assignment]
        table("topics", ["topic", "records written"], list(counts.items()))
    if not facts["ready"]:
        raise SystemExit(1)


def _refreshed(stamp: object) -> str:
    return f" (refresh of {stamp})" if stamp else ""


async def _status(settings: Settings) -> dict[str, object]:
    processes = {
        name: await asyncio.to_thread(read_page, settings, name, "readyz") for name in PROCESS_SETTINGS
    }
    ready = all(bool(p.get("ready")) for p in processes.values())
    live, _ = await read_releases(settings)
    found = [run for run in await read_runs(settings) if run.kind == "full"]
    names = [t.name for t in WITH_DEAD_LETTERS]
    async with open_reader(settings, [settings.topic(n) for n in names], start="end") as reader:
        ends = await reader.end_offsets()
    counts = Counter[str]()
    for (topic, _partition), end in ends.items():
        counts[topic.removeprefix(settings.topic_prefix)] += end
    return {
        "ready": ready,
        "kafka": settings.kafka,
        "milvus": redacted(settings.milvus),
        "processes": processes,
        "generation": live.live.generation if live else None,
        "refresh_of": stamp_of(live.live) if live and live.live.kind == "refresh" else None,
        "last_run": {"run_id": found[-1].run_id, "state": found[-1].state.value} if found else None,
        "late": await asyncio.to_thread(read_late, settings),
        "topics": {n: counts[n] for n in names},
    }
