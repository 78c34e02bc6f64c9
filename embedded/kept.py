"""Small facts that a folder keeps for the next start, as JSON.

Written as a whole, and told by a sentence when they are damaged.
"""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from embedded.errors import DamagedError

T = TypeVar("T")


def read_kept(path: Path, kind: type[T], *, remedy: str) -> T | None:
    """Return what was written, None when nothing was.

    Raises ``DamagedError`` with the remedy for anything but a ``kind``.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise DamagedError(
            f"{path} is damaged ({where + ': ' if where else ''}{problem['msg'][:200]}): {remedy}"
        ) from error


def write_kept(path: Path, value: object) -> None:
    """Write it as a whole and durably.

    After a crash of the machine a reader finds the old or the new one, and no empty file.
    """
    partial = path.with_name(f"{path.name}.tmp")
    try:
        with partial.open("w") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk needs its room
        raise
    partial.replace(path)
