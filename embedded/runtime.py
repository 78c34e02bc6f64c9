"""Who runs on a data directory, and where: the lock that keeps it to one supervisor, and ``runtime.json`` for the other commands."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from embedded.errors import AlreadyRunningError

_LOCK = "up.lock"
_RUNTIME = "runtime.json"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What ``runtime.json`` says. ``started_at`` is in seconds since 1970; ``processes`` maps names to process ids."""

    kafka: str
    milvus: str
    pid: int
    started_at: float
    processes: Mapping[str, int] = field(default_factory=dict)

    def write(self, data_dir: Path) -> None:
        """Write it as a whole: a reader sees the old or the new one."""
        partial = data_dir / f"{_RUNTIME}.tmp"
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.replace(data_dir / _RUNTIME)


def read_runtime(data_dir: Path) -> Runtime | None:
    """Return what runs on the directory now; None when nothing does, also when a killed supervisor left its file behind."""
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        path = data_dir / _RUNTIME
        return Runtime(**json.loads(path.read_text())) if path.exists() else None
    finally:
        os.close(descriptor)
    return None


@contextmanager
def claim(data_dir: Path) -> Iterator[None]:
    """Hold the directory for the length of the block; at its end ``runtime.json`` is gone. Raises ``AlreadyRunningError``.

    The lock belongs to this process and ends with it, however it ends.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(descriptor):
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            raise AlreadyRunningError(
                f"searchloop up already runs on {data_dir} as process {owner or 'unknown'}: stop that one (kill {owner or 'PID'}), "
                "or choose another directory with SEARCHLOOP_DATA_DIR",
                int(owner) if owner.isdigit() else None,
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            (data_dir / _RUNTIME).unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Try to take the lock, for a quarter of a second: ``read_runtime`` of another command holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
