"""Where a command finds the stack, and how it shows results and ends.

``runtime.json`` of a running ``searchloop up`` says where Kafka and Milvus are; ``SEARCHLOOP_*`` variables
win over it.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import structlog
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from artefacts.located import folders_of, use_store
from embedded.runtime import read_runtime
from schemas.hidden import redacted
from schemas.printable import printable, printable_json
from schemas.settings import PROCESS_SETTINGS, Settings, SettingsError

DONE, REFUSED, MISUSED = 0, 1, 2
_NARROW = 110


class SafeConsole(Console):
    """Shows whatever is printed without the control characters that came with it.

    The one place for all output of commands.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable; those of the console itself (colours, a moving line) stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(redacted(segment.text)), segment.style)


out = SafeConsole(markup=False, width=None if sys.stdout.isatty() else _NARROW)
err = SafeConsole(markup=False, stderr=True, width=None if sys.stderr.isatty() else _NARROW)


def own_settings(data_dir: Path | None = None) -> Settings:
    """Return the settings of this machine, whether anything runs or not.

    Those of every process are read, so that a wrong one is told.
    """
    environ = dict(os.environ) | ({"SEARCHLOOP_DATA_DIR": str(data_dir)} if data_dir is not None else {})
    for kind in PROCESS_SETTINGS.values():
        kind.load(environ)
    return _with_store(Settings.load(environ))


def find_settings(data_dir: Path | None = None) -> Settings:
    """Return the settings of the stack that the environment or a running ``up`` names."""
    environ = dict(os.environ)
    if data_dir is not None:
        environ["SEARCHLOOP_DATA_DIR"] = str(data_dir)
    try:
        folder = Settings.load({k: v for k, v in environ.items() if k == "SEARCHLOOP_DATA_DIR"}).data_dir
        runtime = read_runtime(folder)
        if runtime is None and "SEARCHLOOP_KAFKA" not in environ:
            stop(
                f"nothing runs on {folder}: start `searchloop up`, name its directory with --data-dir, or "
                "set SEARCHLOOP_KAFKA"
            )
        if runtime is not None:
            environ.setdefault("SEARCHLOOP_KAFKA", runtime.kafka)
            environ.setdefault("SEARCHLOOP_MILVUS", runtime.milvus)
        return _with_store(Settings.load(environ))
    except SettingsError as error:
        stop(str(error), code=MISUSED)


def _with_store(settings: Settings) -> Settings:
    """Let names of the store be found. Raises ``SettingsError`` for a store that cannot be opened.

    What is logged while it is read goes where no result does.
    """
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    use_store(folders_of(settings))
    return settings


def stop(message: str, *, code: int = REFUSED) -> NoReturn:
    """End the command with a reason on stderr."""
    err.print(
        Text.assemble((("refused" if code == REFUSED else "error"), "bold red"), f": {redacted(message)}"),
        soft_wrap=True,
    )
    raise SystemExit(code)


def show_json(value: object) -> None:
    """Print one JSON value, and nothing else, on stdout."""
    sys.stdout.write(printable_json(redacted(json.dumps(value, default=str, ensure_ascii=False))) + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers to the right."""
    out.print(as_table(title, columns, rows))


def as_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a table as it is printed."""
    grid = Table(title=Text(title), title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][i], int | float)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(
            *(
                Text("-" if cell is None else f"{cell:.4f}" if isinstance(cell, float) else str(cell))
                for cell in row
            )
        )
    return grid
