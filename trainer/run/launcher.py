"""What carries out a run, a process of ours or a Job of a cluster: started, looked at, stopped.

Both know of each other only by the folder: what is done, how far it is and how it ended stand there.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.settings import TrainerSettings
from trainer.run.folder import RunFolder


@dataclass(frozen=True)
class RunStatus:
    """How it is with what carries out a run.

    ``waiting``: it was accepted, and nothing runs yet. ``gone``: nothing carries it out, and how that ended
    is not known. ``unseen``: whether it runs cannot be told now. ``code``: of the process, once it has ended.
    ``why``: for people, empty when all is well.
    """

    state: Literal["waiting", "running", "ended", "gone", "unseen"]
    code: int = 0
    why: str = ""


class LaunchError(RuntimeError):
    """A run could not be started: says why in one sentence. ``passes``: it may go well later."""

    def __init__(self, why: str, *, passes: bool) -> None:
        super().__init__(why)
        self.passes = passes


class Launcher(Protocol):
    """Starts runs, each at most once at a time.

    ``outlives``: what was started goes on when this process ends, and is found again by ``look``.
    """

    outlives: bool

    async def start(self, run: RunFolder, settings: TrainerSettings) -> None:
        """Begin, or take up what is there. Raises ``LaunchError``."""

    async def look(self, run: RunFolder, *, within_s: float) -> RunStatus:
        """Return how it is, at most so much later; at once when it ends. Never raises for what it finds."""

    async def stop(self, run: RunFolder) -> None:
        """Return when nothing carries out the run any more, as far as that can be known."""
