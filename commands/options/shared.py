"""The options that several verbs take, said once."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the stack; default .searchloop or SEARCHLOOP_DATA_DIR."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
At = Annotated[str | None, typer.Option("--at", help="A moment, ISO 8601, UTC where it names no zone.")]
