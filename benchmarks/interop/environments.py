"""Packages that are no dependency of ours, each in an environment of its own under ``build/``.

Installed once, and kept.
"""

import fcntl
import subprocess
import venv
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / "build" / "environments"
QUIXSTREAMS = "quixstreams==3.28.1"
_INSTALL_S = 600


class NotInstalledError(RuntimeError):
    """A package could not be installed; the message ends with what pip said."""


def interpreter_with(package: str, folder: Path = ENVIRONMENTS) -> Path:
    """Return a Python that has ``package`` (name==version), from the registry that pip is configured for.

    Raises ``NotInstalledError``.
    """
    home = folder / package.replace("==", "-")
    python, done = home / "bin" / "python", home / "installed"
    home.mkdir(parents=True, exist_ok=True)
    with (folder / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once install once
        if not done.exists():
            venv.create(home, with_pip=True, clear=True)
            command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", package]
            found = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
            if found.returncode:
                raise NotInstalledError(f"{package} cannot be installed: {found.stderr.strip()[-500:]}")
            done.touch()
    return python
