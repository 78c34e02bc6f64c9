"""Folders that are being filled on this machine, and what killed writers have left of them."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from artefacts.folders import PARTIAL


@contextmanager
def filling(place: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``place``, to be renamed; it is removed if it was not.

    It is locked, and the lock of a process that is killed is let go: then ``sweep`` may have it.
    """
    partial = place.with_name(f"{place.name}.{uuid4().hex}{PARTIAL}")
    partial.mkdir(parents=True)
    held = os.open(partial, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield partial
    finally:
        os.close(held)
        shutil.rmtree(partial, ignore_errors=True)


def sweep(folder: Path, *, before: datetime) -> None:
    """Remove what was begun in ``folder`` before a moment and is filled by nobody any more."""
    for left in folder.glob(f"*{PARTIAL}"):
        with suppress(OSError):  # gone meanwhile, or there are no locks
            if left.stat().st_mtime < before.timestamp() and not _held(left):
                shutil.rmtree(left, ignore_errors=True)


def _held(folder: Path) -> bool:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False
