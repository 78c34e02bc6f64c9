"""What ``search`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def search(
    query: str,
    k: Annotated[int, typer.Option("--k", help="How many hits.")] = 10,
    client: Annotated[
        str | None, typer.Option(help="client_id; what is shown is then written to searches.")
    ] = None,
    timeout_ms: Annotated[
        int, typer.Option(help="How long the request may wait before it is expired.")
    ] = 5000,
    explain: Annotated[bool, typer.Option(help="Ask for the parts of each score.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send one search over Kafka and show the answer."""
