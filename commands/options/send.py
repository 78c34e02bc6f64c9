"""What ``send`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def send(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="TOPIC FILE [TOPIC FILE]...",
            help="searches, interactions, products or erasures; JSON lines, .gz or -.",
        ),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
    send_invalid: Annotated[
        bool, typer.Option(help="Send refused lines too; they end as dead letters.")
    ] = False,
) -> None:
    """Send JSON lines to raw topics, validated; several files are merged by event time."""
