"""Where a command finds the stack, and how it shows results and ends.

``runtime.json`` of a running ``searchloop up`` says where Kafka and Milvus are; ``SEARCHLOOP_*`` variables win over it.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from schemas.settings import Settings, SettingsError

DONE, REFUSED, MISUSED = 0, 1, 2
_NARROW = 110
out = Console(width=None if sys.stdout.isatty() else _NARROW)
err = Console(stderr=True, width=None if sys.stderr.isatty() else _NARROW)


def find_settings(data_dir: Path | None = None) -> Settings:
    """Return the settings of the stack that the environment or a running ``up`` names."""
    environ = dict(os.environ)
    if data_dir is not None:
        environ["SEARCHLOOP_DATA_DIR"] = str(data_dir)
    try:
        folder = Settings.load({k: v for k, v in environ.items() if k == "SEARCHLOOP_DATA_DIR"}).data_dir
        runtime = folder / "runtime.json"
        if runtime.exists():
            facts = json.loads(runtime.read_text())
            for name in ("kafka", "milvus"):
                environ.setdefault(f"SEARCHLOOP_{name.upper()}", facts[name])
        return Settings.load(environ)
    except (SettingsError, ValueError, KeyError) as error:
        stop(str(error), code=MISUSED)


def stop(message: str, *, code: int = REFUSED) -> NoReturn:
    """End the command with a reason on stderr."""
    err.print(f"[bold red]refused[/]: {message}" if code == REFUSED else f"[bold red]error[/]: {message}", highlight=False)
    raise SystemExit(code)


def show_json(value: object) -> None:
    """Print one JSON value, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers to the right."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][i], int | float)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*("-" if cell is None else f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    out.print(grid)
