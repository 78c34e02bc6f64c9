"""What the verbs take that run one of the project's own programs in the foreground."""

from typing import Annotated, Literal

import typer


def stream(
    only: Annotated[
        Literal["intake", "learn", "pictures"] | None,
        typer.Option(
            help="Run only intake, only attribution and aggregation (learn), or only what prepares pictures."
        ),
    ] = None,
) -> None:
    """Run intake, attribution and aggregation."""


def trainer() -> None:
    """Run the trainer."""


def indexer() -> None:
    """Run the indexer, the only writer of Milvus."""


def searcher() -> None:
    """Run a searcher."""


def api() -> None:
    """Run the HTTP API."""


def schemas(
    check: Annotated[bool, typer.Option("--check", help="Only say whether they are up to date.")] = False,
) -> None:
    """Write the published schemas and the table of settings from the code."""
