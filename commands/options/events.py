"""What ``doctor events`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def events(
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="Of so many days, to now.")] = 7,
    most: Annotated[
        int, typer.Option("--most", min=1, help="Records that are read of each topic, the newest.")
    ] = 100_000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say how good each producer's events are, by day, with a sample of each fault."""
