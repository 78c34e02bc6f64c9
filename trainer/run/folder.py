"""One run on disk: a folder in which every finished step leaves a marker, written last.

A killed run starts again at the first step without a marker. Knows no step by name, and neither Kafka nor
models.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.training import RunError, RunState
from trainer.run.triggers import is_run_id

M = TypeVar("M", bound=BaseModel)


def refreshes_in(data_dir: Path) -> Path:
    """Return the folder in which those of refreshes lie."""
    return data_dir / "refreshes"


class RunProgress(BaseModel):
    """Where a run stands: overwritten as it goes, so the last one is all there is."""

    model_config = ConfigDict(frozen=True)

    state: RunState
    progress: float = 0.0
    detail: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class RunOutcome(BaseModel):
    """How a run ended: the marker ``outcome``, written once."""

    model_config = ConfigDict(frozen=True)

    state: RunState
    detail: str = ""
    verdict: Literal["pass", "fail", "inconclusive"] | None = None
    metrics: dict[str, float] = {}
    generation: int | None = None
    error: RunError | None = None


class RunEndedError(Exception):
    """A step found that the run must end here, and how: not a fault of the program."""

    def __init__(self, outcome: RunOutcome) -> None:
        super().__init__(outcome.detail or (outcome.error.message if outcome.error else outcome.state.value))
        self.outcome = outcome


def failed(code: str, message: str, *, retryable: bool = False) -> RunEndedError:
    """Return the exception that ends a run as failed."""
    error = RunError(code=code, message=message[:1000], retryable=retryable)
    return RunEndedError(RunOutcome(state=RunState.FAILED, detail=message[:1000], error=error))


class MarkerError(ValueError):
    """A marker that this version cannot read: written by another one, or damaged. Says which, and why."""


class RunFolder:
    """The folder of one run. Markers are ``<step>.json``; what a step makes lies beside them."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @classmethod
    def of(cls, data_dir: Path, run_id: str) -> Self:
        """Return the folder of a run.

        Raises ``ValueError`` for what is no run id: ids come from Kafka, and no path is made of another.
        """
        if not is_run_id(run_id):
            raise ValueError(f"{run_id[:100]!r} is not the id of a run")
        return cls(data_dir / "runs" / run_id)

    @classmethod
    def of_refresh(cls, data_dir: Path, refresh_id: str) -> Self:
        """Return the folder of a refresh, which is called like a run."""
        return cls(refreshes_in(data_dir) / cls.of(data_dir, refresh_id).path.name)

    def once(self, step: str, kind: type[M], work: Callable[[], M]) -> M:
        """Return what the step found: from its marker, or by doing the work and then writing the marker."""
        found = self.find(step, kind)
        if found is None:
            found = work()
            self.commit(step, found)
        return found

    def find(self, step: str, kind: type[M]) -> M | None:
        """Return the facts of a finished step, or None.

        Raises ``MarkerError`` when they are there and cannot be read.
        """
        path = self.path / f"{step}.json"
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise MarkerError(
                f"{path.name} of run {self.path.name} cannot be read by this version: {where}: "
                f"{problem['msg']}"
            ) from error

    def outcome(self) -> RunOutcome | None:
        """Return how the run ended, or None; an outcome that cannot be read is a failure, and says so."""
        try:
            return self.find("outcome", RunOutcome)
        except MarkerError as error:
            return failed("folder_unreadable", str(error)).outcome

    def progress(self) -> RunProgress:
        """Return where the run stands; queued when that is unknown."""
        try:
            return self.find("progress", RunProgress) or RunProgress(state=RunState.QUEUED)
        except MarkerError:
            return RunProgress(state=RunState.QUEUED)

    def commit(self, step: str, facts: BaseModel) -> None:
        """Write a marker: after this, and not before, the step is done, even if the machine fails."""
        write_durably(self.path / f"{step}.json", facts.model_dump_json(indent=1).encode())

    def fresh(self, name: str) -> Path:
        """Return an empty folder for a step to work in; leftovers of a killed attempt are removed."""
        path = self.absent(name)
        path.mkdir(parents=True)
        return path

    def absent(self, name: str) -> Path:
        """Return a path at which nothing is; leftovers of a killed attempt are removed."""
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def clear(self) -> None:
        """Remove what the steps have made, and the markers that say so.

        The request and the counts of attempts stay.
        """
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix in {".json", ".tmp", ".html"} and path.name != "request.json":
                path.unlink(missing_ok=True)

    def report(self, state: RunState, progress: float, detail: str) -> None:
        """Say where the run stands; the worker publishes it."""
        path = self.path / "progress.json"
        partial = path.with_suffix(".tmp")
        partial.write_text(
            RunProgress(state=state, progress=round(progress, 4), detail=detail[:500]).model_dump_json()
        )
        partial.replace(path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone; waits for an earlier process that is still ending."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all.

    Temporary file, fsync, rename, fsync of the folder.
    """
    partial = path.with_name(path.name + ".tmp")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
