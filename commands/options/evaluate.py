"""What ``evaluate`` takes."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def evaluate(
    release: Annotated[
        int | None, typer.Option("--release", help="The generation to score; default the live one.")
    ] = None,
    judgments: Annotated[
        Path | None,
        typer.Option(
            "--judgments",
            help="JSON lines or CSV of query, product_id, relevance; .gz works. Default: the newest days.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="The set that the file becomes, default that of the file; without one, the set to score.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a report for people to this file.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare a release with the pretrained model and BM25."""
