"""A real Milvus server without Docker, from the wheel ``milvus==2.3.5``.

Where it lies, unpacked once, configured in one folder. The wheel's own launcher is not used: it unpacks 250
MB into each new folder, takes fixed ports, and a kill of it leaves the server. The server is old and for
tests and benchmarks only; an installation without the development packages does not have it.
"""

import fcntl
import importlib.util
import lzma
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from embedded.errors import ServerMissingError

WHEEL = "milvus==2.3.5"
_FIELD = re.compile(r"\{\{\s*(\w+)(?:\(\w+\))?(?:\s*:\s*(.*?))?\s*\}\}")


def wheel_folder() -> Path | None:
    """Return the data folder of the installed wheel, or None when it is not installed.

    Imports nothing of it.
    """
    spec = importlib.util.find_spec("milvus")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "data"
    return folder if (folder / "bin" / "milvus.lzma").is_file() else None


def unpacked() -> Path:
    """Return the folder with the server's program and libraries.

    Unpacked beside the wheel by the first call (5 s, 250 MB). Raises ``ServerMissingError`` when the wheel is
    not installed or the disk cannot take it.
    """
    folder = wheel_folder()
    if folder is None:
        raise ServerMissingError(
            f"the Milvus server of the wheel {WHEEL} is not installed; on 64-bit Linux: pip install "
            f"--no-deps {WHEEL}"
        )
    target = folder / "unpacked"
    if not target.is_dir():
        try:
            with (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not target.is_dir():
                    _unpack(folder / "bin", target)
        except OSError as error:
            raise ServerMissingError(f"{WHEEL} could not be unpacked into {target}: {error}") from error
    return target


def _unpack(packed: Path, target: Path) -> None:
    """Unpack into a fresh folder and rename it when whole.

    An interrupted call leaves nothing that looks finished.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unpack-") as scratch:
        ready = Path(scratch) / "bin"
        ready.mkdir()
        for source in packed.glob("*.lzma"):
            out = ready / source.stem
            with lzma.open(source) as reader, out.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
            out.chmod(0o755)
        ready.rename(target)


def write_config(folder: Path, values: Mapping[str, str | int]) -> None:
    """Write ``milvus.yaml`` and ``glog.conf`` into a folder.

    The wheel's template, its fields filled by ``values`` or their defaults.
    """
    wheel = wheel_folder()
    if wheel is None:
        raise ServerMissingError(f"the wheel {WHEEL} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "milvus.yaml").write_text(filled((wheel / "config.yaml.template").read_text(), values))
    shutil.copy(wheel / "glog.conf", folder / "glog.conf")


def filled(template: str, values: Mapping[str, str | int]) -> str:
    """Return the template with each ``{{ name(type): default }}`` replaced.

    Raises ``KeyError`` for one with neither value nor default.

    >>> filled("port: {{ proxy_port(int): 19530 }}, dir: {{ data }}", {"data": "/d"})
    'port: 19530, dir: /d'
    """

    def value(field: re.Match[str]) -> str:
        name, default = field.groups()
        if name not in values and default is None:
            raise KeyError(name)
        return str(values.get(name, default))

    return _FIELD.sub(value, template)
