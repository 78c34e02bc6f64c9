"""Runs as child processes of this one: they end with it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from schemas.settings import TrainerSettings
from trainer.run.folder import RunFolder
from trainer.run.launcher import RunStatus
from trainer.run.processes import command, environment


class LocalProcesses:
    """The launcher that needs nothing but this machine. ``module`` carries a run out, given its folder."""

    outlives = False

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        self._module, self._environ = module, environ
        self._started: dict[Path, asyncio.subprocess.Process] = {}

    async def start(self, run: RunFolder, settings: TrainerSettings) -> None:
        """Start the process, with the threads that the run may have."""
        self._started[run.path] = await asyncio.create_subprocess_exec(
            *command(self._module, run.path),
            env=environment(self._environ, settings.torch_threads),
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def look(self, run: RunFolder, *, within_s: float) -> RunStatus:
        """Return how the process is; one that another trainer started has ended with it."""
        process = self._started.get(run.path)
        if process is None:
            return RunStatus("gone")
        with suppress(TimeoutError):
            # ``wait_for`` of Python 3.11 may swallow that we are stopped
            async with asyncio.timeout(within_s):
                await process.wait()
        if process.returncode is None:
            return RunStatus("running")
        return RunStatus("ended", process.returncode)

    async def stop(self, run: RunFolder) -> None:
        """Kill the process: a run goes on from its folder."""
        process = self._started.pop(run.path, None)
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
