"""What ``import`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def import_file(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="ubi-queries, ubi-events, algolia, segment, ga4, google, online-retail."
        ),
    ],
    file: Annotated[str, typer.Argument(help="JSON lines, CSV for online-retail; .gz works; - reads stdin.")],
    position_base: Annotated[
        int | None, typer.Option(min=0, max=1, help="Position of the first hit: 1, and 0 for ga4.")
    ] = None,
    product_field: Annotated[
        str | None, typer.Option(help="segment: the property that is the catalogue's id.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Convert and check, send nothing.")] = False,
    allow_refused: Annotated[
        bool, typer.Option("--allow-refused", help="Exit 0 even if lines were refused.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import another system's events, validated, and say where every line went."""
