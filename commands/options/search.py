"""What ``search`` takes."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def search(
    query: Annotated[
        str | None, typer.Argument(help="What is searched for; it may be left out with --image.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="A JPEG, PNG, GIF or WEBP file to search by; it is prepared here and then sent."),
    ] = None,
    image_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The picture's share beside the text; half if not said."),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="How many hits.")] = 10,
    client: Annotated[
        str | None, typer.Option(help="client_id; what is shown is then written to searches.")
    ] = None,
    timeout_ms: Annotated[
        int, typer.Option(help="How long the request may wait before it is expired.")
    ] = 5000,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            help="A condition: 'brand == Acme', 'price < 10', 'attributes.colour in red, blue'. Several must "
            "all hold.",
        ),
    ] = None,
    facet: Annotated[
        list[str] | None, typer.Option(help="Count the values of this field, such as attributes.colour.")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(help="One product for each value of this field, such as group_id.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="price_asc, price_desc or newest.")] = None,
    ranking: Annotated[
        str | None,
        typer.Option(
            help="For comparison, instead of what serves: previous (generation), dense (the encoder alone), "
            "words (BM25 alone), base (the pretrained model alone, while it is open). Teaches nothing."
        ),
    ] = None,
    explain: Annotated[bool, typer.Option(help="Ask for the parts of each score.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send one search, by text, picture or both, over Kafka and show the answer."""
