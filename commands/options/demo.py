"""What ``demo`` takes."""

from typing import Annotated

import typer

from commands.options.shared import DataDir


def demo(
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop.")] = 7,
    keep: Annotated[bool, typer.Option(help="Keep the data directory afterwards.")] = False,
) -> None:
    """Run the whole loop once with a simulated shop, check every promise, and end by itself."""
