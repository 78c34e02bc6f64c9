"""A run's process ends where its run was ended by somebody else."""

import asyncio
import sys
from pathlib import Path

from schemas.training import RunState
from tests.processes import ROOT
from trainer.run.folder import RunFolder, RunOutcome
from trainer.run.processes import ORPHANED

WORKS = """
import sys, time
from pathlib import Path
from trainer.run.concluding import until_ended_elsewhere
from trainer.run.folder import RunFolder
with until_ended_elsewhere(RunFolder(Path(sys.argv[1])), interval_s=0.05):
    print("works", flush=True)
    time.sleep(600)
"""


async def test_a_process_that_nobody_could_stop_ends_once_its_run_was_cancelled(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKS, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"works\n"
        RunFolder(tmp_path).commit("outcome", RunOutcome(state=RunState.CANCELLED))
        assert await process.wait() == ORPHANED
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
