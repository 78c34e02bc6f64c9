"""What ``refresh`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def refresh(
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; 0 when it serves, or when nothing was new.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Refit and judge; deploy nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Deploy whatever the verdict, and after a rollback.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Needed with --force.")] = None,
    timeout_s: Annotated[
        float, typer.Option(help="Stop waiting after so many seconds without progress of any run.")
    ] = 600,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Refresh what serves from the newest pairs, without training."""
