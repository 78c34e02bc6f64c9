"""``up``: the one-machine stack in the foreground."""

import asyncio
import os
from pathlib import Path

from commands.session import MISUSED, REFUSED, stop
from embedded.errors import EmbeddedError
from embedded.up import up
from schemas.settings import Settings, SettingsError


def start(data_dir: Path | None) -> int:
    """Run the stack until Ctrl-C or SIGTERM; return the exit code."""
    try:
        folder = data_dir or Settings.load({k: v for k, v in os.environ.items() if k == "SEARCHLOOP_DATA_DIR"}).data_dir
        return asyncio.run(up(folder))
    except SettingsError as error:
        stop(str(error), code=MISUSED)
    except EmbeddedError as error:
        stop(str(error), code=REFUSED)
    except OSError as error:
        stop(f"the data directory cannot be used: {error}", code=REFUSED)
