"""What ``status`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def status(
    watch: Annotated[
        bool,
        typer.Option(help="Look again every two seconds, with rates, until Ctrl-C."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what runs and what serves."""
