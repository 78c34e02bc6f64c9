"""What ``runs`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, At, DataDir


def runs(
    run_id: Annotated[str | None, typer.Argument()] = None,
    at: At = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List training runs, or show one."""
