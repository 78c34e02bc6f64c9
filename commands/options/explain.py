"""What ``explain`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, At, DataDir


def explain(
    identifier: Annotated[str | None, typer.Argument(help="A run, decision or event id.")] = None,
    at: At = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the evidence of a verdict and derive it again, or what became of an event."""
