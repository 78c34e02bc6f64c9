"""The end of a run's process: its outcome is on disk, or its fault is, and the worker tries again."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from trainer.run.folder import MarkerError, RunEndedError, RunFolder, RunOutcome, failed
from trainer.run.full_disk import is_full
from trainer.run.processes import ORPHANED

log = structlog.get_logger(__name__)


def conclude(run: RunFolder, work: Callable[[], RunOutcome]) -> int:
    """Do the work and leave its outcome, however it ends.

    Returns the exit code: 1 leaves none, so that the worker tries again. A full disk ends a run that has not
    decided: what it had written is removed, which is what makes room for the outcome.
    """
    try:
        run.once("outcome", RunOutcome, work)
    except RunEndedError as ended:
        run.commit("outcome", ended.outcome)
    except MarkerError as error:
        run.commit("outcome", failed("folder_unreadable", str(error), retryable=True).outcome)
    except MemoryError as error:
        run.commit("outcome", failed("memory", f"out of memory: {error}").outcome)
    except Exception as error:  # the one outermost handler: leave the reason for the worker, then end
        log.exception("run failed with an unexpected error")
        with suppress(OSError):
            decided = (run.path / "decision.json").exists()  # the indexer may have the model by now: it stays
            if not decided and is_full(error, shutil.disk_usage(run.path).free):
                run.clear()
                full = (
                    f"the disk of {run.path.parent} is full, and the run's files are removed: make room, "
                    "then ask for a run again"
                )
                run.commit("outcome", failed("disk_full", full, retryable=True).outcome)
                return 0
            (run.path / "fault.txt").write_text(f"{type(error).__name__}: {error}"[:1000])
        return 1
    return 0


@contextmanager
def until_ended_elsewhere(run: RunFolder, interval_s: float = 1.0) -> Iterator[None]:
    """End this process soon after its run was ended by somebody else: cancelled, or too slow.

    Who ends a run also stops its process, but may not reach it, as when it is a Job of another node.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(interval_s):
            if (run.path / "outcome.json").exists():
                log.warning("the run was ended elsewhere")
                os._exit(ORPHANED)

    threading.Thread(target=watch, name="outcome-watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()
