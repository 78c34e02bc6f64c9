"""What ``pictures`` takes."""

from typing import Annotated, Literal

import typer

from commands.options.shared import AsJson, DataDir


def pictures(
    again: Annotated[
        Literal["failed", "all"] | None,
        typer.Option(help="Have these pictures looked at again: those that failed, or all."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of the pictures of the catalogue, or have them looked at again."""
