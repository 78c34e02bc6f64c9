"""What ``demo`` takes."""

from typing import Annotated

import typer

from commands.options.shared import DataDir


def demo(
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop.")] = 7,
    keep: Annotated[bool, typer.Option(help="Keep the data directory afterwards.")] = False,
    shop: Annotated[
        bool,
        typer.Option(
            "--shop",
            help="A small shop for the browser instead, which learns from what you do; until Ctrl-C.",
        ),
    ] = False,
) -> None:
    """Run the whole loop once with a simulated shop, check every promise, and end by itself."""
