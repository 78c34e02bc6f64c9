"""How a run's processes are started.

With few threads and low priority, and never outliving who started them.
"""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

NICENESS = 10
ORPHANED = 75
_ROOT = Path(__file__).resolve().parent.parent


def environment(parent: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the variables of a child: the parent's, ``few_threads``, and where our packages are."""
    path = os.pathsep.join(p for p in (str(_ROOT), parent.get("PYTHONPATH", "")) if p)
    return {**parent, **few_threads(threads), "PYTHONPATH": path}


def few_threads(threads: int) -> dict[str, str]:
    """Return the cap on threads for every library that reads one, and no network for models."""
    capped = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {**dict.fromkeys(capped, str(threads)), **quiet}


def command(module: str, argument: Path) -> list[str]:
    """Return the command line of a child that runs a module of ours."""
    return [sys.executable, "-m", module, str(argument)]


def die_with_parent(interval_s: float = 0.5) -> None:
    """End this process soon after its parent has ended, even by kill -9: nobody would read its results."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval_s)
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def begin_again(module: str, argument: Path) -> NoReturn:
    """Re-exec the module as a fresh process with the same id, to release memory that libraries hold."""
    os.execv(sys.executable, command(module, argument))  # noqa: S606 (our own module, no shell)


def lower_priority() -> None:
    """Give way to serving."""
    os.nice(max(0, NICENESS - os.nice(0)))
