"""What ``train`` takes."""

from typing import Annotated, Literal

import typer

from commands.options.shared import AsJson, DataDir


def train(
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; 0 only when deployed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and evaluate; deploy nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Deploy whatever the verdict, if the artefact is sound.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Needed with --force.")] = None,
    base: Annotated[
        Literal["live", "pristine"],
        typer.Option(help="Model to start from: the live one, or the pretrained one (pristine)."),
    ] = "live",
    param: Annotated[list[str] | None, typer.Option("--param", help="name=value, for this run only.")] = None,
    cancel: Annotated[
        str | None,
        typer.Option("--cancel", help="End the run with this id instead; 0 only when it was cancelled."),
    ] = None,
    timeout_s: Annotated[
        float, typer.Option(help="Stop waiting after so many seconds without progress of any run.")
    ] = 1800,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a training run, or for the end of one."""
