"""What the verbs of ``keys`` take."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the key.")]


def create(
    name: Annotated[str, typer.Option("--name", help="Whose it is, for lists and logs.")],
    role: Annotated[
        list[str],
        typer.Option("--role", help="What it is good for: events, products, search, read, operate; several."),
    ],
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",
            help="Pages of this origin, as https://shop.example, may use the key; several. Such a key lies "
            "in the page: it is public, for events and search alone.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="Records and searches a second; a public key has 500 if none is said."),
    ] = None,
    max_body: Annotated[
        int | None,
        typer.Option("--max-body", help="Bytes of one request; a public key has 65,536 if none is said."),
    ] = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: what is kept is a hash."""


def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys, by their ids, the revoked ones included."""


def revoke(
    key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.")],
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Take it off the list, too. Without any key on the list, an API on loopback asks for none.",
        ),
    ] = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a key open nothing any more; every API knows within seconds."""
