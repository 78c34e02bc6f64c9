"""What the verbs of ``judgments`` take."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

Name = Annotated[str, typer.Argument(help="The name of the set.")]


def list_sets(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the sets: queries, ratings, who judged last and when."""


def export(
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help="FILE.csv is CSV, another JSON lines; default: lines to stdout.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a set as JSON lines or CSV, as `judgments import` reads it."""


def import_set(
    name: Name,
    file: Annotated[
        Path, typer.Argument(help="JSON lines of query, product_id, relevance, or CSV; .gz works.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a set what a file says, and nothing else."""


def remove_set(name: Name, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Forget a set."""
