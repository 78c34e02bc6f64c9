"""``up``: the one-machine stack in the foreground."""

import asyncio
import os
from pathlib import Path

from commands.support.session import MISUSED, REFUSED, stop
from embedded.errors import EmbeddedError
from embedded.up import up as keep_up
from schemas.settings import Settings, SettingsError


def up(*, data_dir: Path | None, kafka_port: int | None, milvus_port: int | None) -> None:
    """Run the stack until Ctrl-C or SIGTERM, and end with its exit code.

    Ports None: those of last time, or free ones.
    """
    for option, port, variable in (
        ("--kafka-port", kafka_port, "SEARCHLOOP_KAFKA"),
        ("--milvus-port", milvus_port, "SEARCHLOOP_MILVUS"),
    ):
        if port is not None and os.environ.get(variable):
            stop(
                (
                    f"{option} is for a server of our own, and {variable} names {os.environ[variable]}: "
                    "leave one of them out"
                ),
                code=MISUSED,
            )
    try:
        folder = (
            data_dir
            or Settings.load({k: v for k, v in os.environ.items() if k == "SEARCHLOOP_DATA_DIR"}).data_dir
        )
        code = asyncio.run(keep_up(folder, kafka_port=kafka_port, milvus_port=milvus_port))
    except SettingsError as error:
        stop(str(error), code=MISUSED)
    except EmbeddedError as error:
        stop(str(error), code=REFUSED)
    except OSError as error:
        stop(f"the data directory cannot be used: {error}", code=REFUSED)
    raise SystemExit(code)
