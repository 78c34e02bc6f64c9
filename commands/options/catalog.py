"""What ``doctor catalog`` takes."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def catalog(
    products: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Judge this file of products, JSON lines, .gz or -, without a server; by default what the "
            "running stack has.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|TAR", help="With --products: where the files of its pictures lie."),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.html|FILE.json", help="Write the report there too; may be said twice."),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SHARE", help="Exit code 1 where a finding has a greater share."),
    ] = None,
    most_pictures: Annotated[int, typer.Option(min=0, help="Pictures that are looked at, at most.")] = 20_000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Report what the catalogue lacks: fields that are missing, made up, duplicate, too long or broken."""
