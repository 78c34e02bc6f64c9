"""Decide whether a build has room before it begins.

A disk that fills up or memory that runs out would hurt what serves. Pure. Sizes are estimates on the safe
side. The disk is that of the data directory, so it says nothing about a Milvus on another machine.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

ROW_BYTES = 1500  # id, title, brand, category and the bookkeeping of a row
COPIES = 2  # Milvus writes a log and a segment; memory holds the vectors and the proof of them
RESERVE_BYTES = 256 << 20
MODEL_FACTOR = 2
CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Room:
    """Bytes that are free."""

    disk: int
    memory: int


def missing_room(room: Room, *, rows: int, dim: int, model_bytes: int) -> str | None:
    """Return what a build of ``rows`` vectors of ``dim`` floats lacks, as a sentence, or None when it fits.

    >>> missing_room(Room(disk=10**9, memory=10**9), rows=1000, dim=384, model_bytes=10**8)
    >>> missing_room(Room(disk=10**8, memory=10**9), rows=1000, dim=384, model_bytes=10**8)
    'not enough disk: 274 MB are needed, 100 MB are free'
    """
    rows_bytes = rows * (dim * 4 + ROW_BYTES) * COPIES
    for name, needed, free in (
        ("disk", rows_bytes + RESERVE_BYTES, room.disk),
        ("memory", rows_bytes + MODEL_FACTOR * model_bytes + RESERVE_BYTES, room.memory),
    ):
        if free < needed:
            return f"not enough {name}: {needed // 10**6} MB are needed, {free // 10**6} MB are free"
    return None


def free_room(folder: Path, group: Path = CONTROL_GROUP) -> Room:
    """Ask the machine: the disk that holds ``folder``, and the memory that can be had without swapping.

    In a container, that which its bound leaves (``group``: the control group as it sees it, version 2).
    """
    free = int(psutil.virtual_memory().available)
    left = _left(group)
    return Room(disk=shutil.disk_usage(folder).free, memory=free if left is None else max(0, min(free, left)))


def _left(group: Path) -> int | None:
    """Return what the bound of a control group leaves, caches of files not counted; None without a bound."""
    try:
        bound, used, told = (
            (group / f"memory.{name}").read_text().split() for name in ("max", "current", "stat")
        )
    except OSError:
        return None
    if bound == ["max"]:
        return None
    return int(bound[0]) - int(used[0]) + int(told[told.index("inactive_file") + 1])


def model_bytes(folder: Path) -> int:
    """Return the size of all files of a model."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
