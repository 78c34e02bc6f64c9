"""What the verbs of ``gate`` take."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def power(
    gain: Annotated[
        float | None,
        typer.Option(min=1e-6, max=1, help="A gain in nDCG@10, such as 0.02; by default several."),
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=1, help="Spread of the differences per query; by default that of the newest runs."
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say how many test queries it takes to see a gain with 80 and 90 % power."""


def pin(
    query: str,
    products: Annotated[list[str], typer.Argument(help="Product ids that must stay among the first k.")],
    k: Annotated[int, typer.Option("--k", min=1, max=50)] = 10,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pin products to a query: a candidate that loses one of them fails."""


def unpin(query: str, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take a pinned query out."""


def list_pins(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the pinned queries."""
