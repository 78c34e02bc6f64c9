"""Who runs on a data directory, and where.

The lock that keeps it to one supervisor, and ``runtime.json`` for the other commands.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from embedded.errors import AlreadyRunningError
from embedded.kept import read_kept, write_kept

_LOCK = "up.lock"
_RUNTIME = "runtime.json"
_REMEDY = (
    "it is written again when a process of `searchloop up` ends or starts; until then set SEARCHLOOP_KAFKA "
    "and SEARCHLOOP_MILVUS"
)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What ``runtime.json`` says.

    ``started_at`` is in seconds since 1970; ``processes`` maps names to process ids.
    """

    kafka: str
    milvus: str
    pid: int
    started_at: float
    processes: Mapping[str, int] = field(default_factory=dict)

    def write(self, data_dir: Path) -> None:
        """Write it as a whole: a reader sees the old or the new one."""
        write_kept(data_dir / _RUNTIME, asdict(self))


def read_runtime(data_dir: Path) -> Runtime | None:
    """Return what runs on the directory now.

    None when nothing does, also when a killed supervisor left its file behind.
    """
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_kept(data_dir / _RUNTIME, Runtime, remedy=_REMEDY)
    finally:
        os.close(descriptor)
    return None


@contextmanager
def claim(data_dir: Path) -> Iterator[None]:
    """Hold the directory for the length of the block; at its end ``runtime.json`` is gone.

    Raises ``AlreadyRunningError``. The lock belongs to this process and ends with it, however it ends.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            raise AlreadyRunningError(
                f"searchloop up already runs on {data_dir} as process {owner or 'unknown'}: stop that one "
                f"(kill {owner or 'PID'}), "
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


def made_private(data_dir: Path) -> str | None:
    """Take the directory from everybody else on the machine: it holds what shoppers did.

    Returns the sentence to log, if there is one. One that is not ours alone (another's, or one such as /tmp)
    is left as it is, and told.
    """
    found = data_dir.stat()
    if not found.st_mode & 0o077:
        return None
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        return (
            f"others of this machine may read {data_dir}, which holds what shoppers did, and it is not "
            "ours to close: choose another"
        )
    data_dir.chmod(0o700)
    return (
        f"{data_dir} was readable by others of this machine, and holds what shoppers did: it is closed now "
        "(mode 700)"
    )


def _locked(descriptor: int) -> bool:
    """Try to take the lock, for a quarter of a second.

    ``read_runtime`` of another command holds it for a moment.
    """
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
