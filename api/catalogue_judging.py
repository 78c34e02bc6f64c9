"""The catalogue judged when somebody asks, in a child process; the newest report is kept in memory."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE

import structlog
from pydantic import ValidationError

from completeness.findings import CatalogueReport

log = structlog.get_logger(__name__)

# A catalogue of a million products takes some minutes; of one that takes longer there is the verb.
LONGEST_S = 1800.0
_REPORT_BYTES = 64 << 20


class CatalogueJudging:
    """Run ``run`` as one task; ``begin`` asks for a report, of which one is made at a time."""

    def __init__(self, command: tuple[str, ...] = ("-m", "completeness")) -> None:
        self._command = command
        self._wanted = asyncio.Event()
        self.report: CatalogueReport | None = None
        self.products = 0
        self.fault = ""

    @property
    def judging(self) -> bool:
        """Whether a report is being made."""
        return self._wanted.is_set()

    def begin(self) -> None:
        """Ask for a report; while one is made this changes nothing."""
        if not self.judging:
            self.products, self.fault = 0, ""
            self._wanted.set()

    async def run(self) -> None:
        """Make the reports that are asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                async with asyncio.timeout(LONGEST_S):
                    await self._judge()
            except TimeoutError:
                self.fault = f"it took longer than {LONGEST_S / 60:.0f} minutes"
            except (OSError, ValueError, ValidationError) as error:
                self.fault = f"its process said nothing that can be read ({type(error).__name__})"
            if self.fault:
                log.warning("the catalogue was not judged", reason=self.fault)
            self._wanted.clear()

    async def _judge(self) -> None:
        paths = os.pathsep.join(filter(None, sys.path))
        own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdin=PIPE,  # nothing is written: it ends with this process
            stdout=PIPE,
            limit=_REPORT_BYTES,
            env={**os.environ, **own},
        )
        assert child.stdout is not None
        try:
            told = False
            async for line in child.stdout:
                told = self._take(json.loads(line)) or told
            if not told:
                self.fault = f"its process ended with status {await child.wait()}"
        finally:
            if child.stdin is not None:
                child.stdin.close()
            if child.returncode is None:
                child.kill()
            await child.wait()

    def _take(self, said: object) -> bool:
        """Take what the child says; return whether that is the end. Raises ``ValueError`` at an odd line."""
        if not isinstance(said, dict):
            raise ValueError("a line of the child is no object")  # noqa: TRY004 (as where it is no JSON)
        if "products" in said:
            self.products = int(str(said["products"]))
            return False
        if "fault" in said:
            self.fault = str(said["fault"])
        else:
            self.report = CatalogueReport.model_validate(said.get("report"))
        return True
