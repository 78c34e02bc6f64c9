"""``status``: what runs, what serves, and how full the topics are."""

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from broker.errors import BrokerError
from broker.reading import open_reader
from commands.support.pages import read_late, read_page
from commands.support.session import as_table, find_settings, out, show_json
from commands.support.topic_state import read_releases, read_runs
from retrieval.naming import stamp_of
from schemas.hidden import redacted
from schemas.settings import PROCESS_SETTINGS, Settings
from schemas.topics import WITH_DEAD_LETTERS
from schemas.training import TrainingRun

EVERY_S = 2.0


@dataclass(frozen=True)
class StatusLook:
    """What there was to see at a moment of the monotonic clock; ``run``: the last training, if any."""

    at_s: float
    facts: dict[str, Any]
    run: TrainingRun | None


def status(*, watch: bool, data_dir: Path | None, as_json: bool) -> None:
    """Show processes, live generation, last run and how full the topics are.

    Exit code 1 unless all are ready. With ``watch`` again and again until Ctrl-C.
    """
    settings = find_settings(data_dir)
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(settings, as_json=as_json)
        return
    look = asyncio.run(_status(settings))
    if as_json:
        show_json(look.facts)
    else:
        out.print(shown(settings, look, None))
    if not look.facts["ready"]:
        raise SystemExit(1)


def _watch(settings: Settings, *, as_json: bool) -> None:
    before: StatusLook | None = None
    with Live(console=out, auto_refresh=False) if not as_json and out.is_terminal else nullcontext() as live:
        while True:
            try:
                look = asyncio.run(_status(settings))
            except BrokerError as error:
                said: RenderableType = f"Kafka at {settings.kafka} does not answer: {error}"
            else:
                said = shown(settings, look, before)
                before = look
                if as_json:
                    show_json(look.facts)
            if live is not None:
                live.update(said, refresh=True)
            elif not as_json:
                out.print(said)
            sys.stdout.flush()
            time.sleep(EVERY_S)


def shown(settings: Settings, look: StatusLook, before: StatusLook | None) -> RenderableType:
    """Return what a person reads of a look; with one ``before`` it also the rates between them."""
    facts = look.facts
    processes = [
        (name, str(page.get("ready", False)), json.dumps({k: v for k, v in page.items() if k != "ready"}))
        for name, page in facts["processes"].items()
    ]
    where = [f"Kafka: {facts['kafka']}", f"Milvus: {facts['milvus']}"]
    serves = [
        f"live generation: {facts['generation']}{_refreshed(facts['refresh_of'])}",
        f"last run: {facts['last_run']}",
        f"events too late to count: {facts['late']}",
    ]
    parts: list[RenderableType] = [
        as_table("processes", ["process", "ready", "detail"], processes),
        Text("    ".join([*where, f"topics begin with: {settings.topic_prefix}"])),
        Text("    ".join(serves)),
    ]
    if look.run is not None and not look.run.state.terminal:
        parts.append(Text(f"{look.run.run_id}: {look.run.progress:.0%} {look.run.detail}"))
    counts: dict[str, int] = facts["topics"]
    if before is None:
        return Group(*parts, as_table("topics", ["topic", "records written"], list(counts.items())))
    rates = per_s(look, before)
    moving = [(name, count, f"{rates[name]:,.1f}") for name, count in counts.items() if count]
    return Group(*parts, as_table("topics", ["topic", "records written", "a second"], moving))


def per_s(look: StatusLook, before: StatusLook) -> dict[str, float]:
    """Return the records a second of each topic between two looks; one that was made anew has none."""
    passed_s = max(look.at_s - before.at_s, 1e-3)
    earlier: dict[str, int] = before.facts["topics"]
    return {
        name: max(0, count - earlier.get(name, 0)) / passed_s for name, count in look.facts["topics"].items()
    }


def _refreshed(stamp: object) -> str:
    return f" (refresh of {stamp})" if stamp else ""


async def _status(settings: Settings) -> StatusLook:
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
    facts = {
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
    return StatusLook(time.monotonic(), facts, found[-1] if found else None)
