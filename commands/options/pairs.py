"""What ``pairs`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def pairs(
    query: str,
    days: Annotated[bool, typer.Option("--days", help="Show the counts of every day too.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Weigh beside all pairs, not those of the query's partition.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what was learnt for a query, and what it weighs in training now."""
