"""What ``export`` takes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from commands.options.shared import AsJson, DataDir


def export(
    form: Annotated[
        Literal["ubi", "pairs"],
        typer.Argument(metavar="FORMAT", help="ubi: searches and interactions; pairs: what was learnt."),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where to write the files, two of JSON lines.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write searches and interactions as UBI 1.3 files, or pairs as flat rows."""
