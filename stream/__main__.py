"""The process ``stream``: intake and the two learning agents, or with ``--only`` one of the halves.

Where hosts of pictures are allowed, it looks after pictures as well; with ``--only`` a process of their own
does.
"""

import argparse
import asyncio
import gc
import sys
from typing import TYPE_CHECKING

from process.health import Health
from process.lazy_import import lazy_import
from process.running import run_process, until_stopped
from schemas.settings import SettingsError, StreamSettings
from stream.app import learn
from stream.intake import Intake
from stream.lag import watch_lag

if TYPE_CHECKING:
    from stream import picturing
else:
    picturing = lazy_import("stream.picturing")  # where products are text only, nothing of it is loaded

HALVES = ("intake", "learn")
PICTURES = "pictures"
# Records come by the thousand and none is part of a cycle: looking for some after every 700 objects took a
# fifth of aggregation.
GC_THRESHOLDS = (100_000, 20, 20)


def _parse(arguments: list[str]) -> tuple[str, ...]:
    parser = argparse.ArgumentParser(prog="python -m stream", description=__doc__)
    parser.add_argument("--only", choices=(*HALVES, PICTURES), help="run one half of the process")
    only = parser.parse_args(arguments).only
    return (only,) if only else HALVES


def main() -> None:
    """Run until a signal, or until something ends it."""
    halves = _parse(sys.argv[1:])
    gc.set_threshold(*GC_THRESHOLDS)

    async def work(settings: StreamSettings, health: Health, stopping: asyncio.Event) -> None:
        mine = (*halves, PICTURES) if halves == HALVES and settings.picture_hosts else halves
        if PICTURES in mine and not settings.picture_hosts:
            raise SettingsError(
                "SEARCHLOOP_PICTURE_HOSTS names no host, so there is no picture to look after"
            )
        ready = dict.fromkeys(mine, False)

        def report(half: str, state: bool) -> None:
            ready[half] = state
            health.ready = all(ready.values())
            health.detail["halves"] = dict(ready)

        tasks = []
        if "intake" in halves:
            intake = Intake(settings)
            health.detail["intake"] = intake.conservation.topics
            health.faults["raw topics"] = intake.fault
            tasks.append(asyncio.create_task(intake.run(lambda state: report("intake", state))))
        if "learn" in halves:
            tasks.append(asyncio.create_task(learn(settings, lambda state: report("learn", state))))
        if PICTURES in mine:
            looking = picturing.look_after_pictures(settings, lambda state: report(PICTURES, state))
            tasks.append(asyncio.create_task(looking))
        tasks.append(asyncio.create_task(watch_lag(settings, mine)))
        await until_stopped(stopping, *tasks)

    run_process("stream" if len(halves) == len(HALVES) else f"stream-{halves[0]}", StreamSettings, work)


if __name__ == "__main__":
    main()
