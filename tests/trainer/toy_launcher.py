"""A launcher that carries nothing out, and says what a test has it say."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from schemas.settings import TrainerSettings
from trainer.run.folder import RunFolder
from trainer.run.launcher import RunStatus

GONE = RunStatus("gone")


class ToyLauncher:
    """A run is as ``before`` says until it is started, and then runs until it is stopped.

    ``refuses`` is what a start raises, ``while_stopping`` what a run does meanwhile.
    """

    def __init__(self, *, outlives: bool, before: RunStatus = GONE) -> None:
        self.outlives = outlives
        self.before = before
        self.refuses: Exception | None = None
        self.while_stopping: Callable[[RunFolder], object] = lambda _: None
        self._running: set[Path] = set()
        self.started = 0
        self.stopped = 0

    async def start(self, run: RunFolder, settings: TrainerSettings) -> None:
        if self.refuses is not None:
            raise self.refuses
        self._running.add(run.path)
        self.started += 1

    async def look(self, run: RunFolder, *, within_s: float) -> RunStatus:
        await asyncio.sleep(within_s)
        return RunStatus("running") if run.path in self._running else self.before

    async def stop(self, run: RunFolder) -> None:
        self._running.discard(run.path)
        self.stopped += 1
        self.while_stopping(run)
