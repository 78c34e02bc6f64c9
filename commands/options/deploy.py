"""What the verbs take that change what serves."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

Expected = Annotated[int | None, typer.Option("--expected", help="Refuse unless this generation is live.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Even if pinned, paused, cooling down or rolled back before; needs --reason."
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]


def rollback(
    to: Annotated[int | None, typer.Option("--to", help="The generation to go to.")] = None,
    model: Annotated[
        bool, typer.Option("--model", help="To the newest generation of another model, behind all refreshes.")
    ] = False,
    expected: Expected = None,
    force: Force = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Undo the last change of what serves, often a refresh, or go back to another generation."""


def promote(
    to: Annotated[int, typer.Argument(help="The generation to serve.")],
    expected: Expected = None,
    force: Force = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Serve a generation that still has its index."""


def pause(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Refuse promotes until resume."""


def resume(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Accept promotes again."""


def pin(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Keep the live generation whatever is promoted, until unpin."""


def unpin(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let the live generation change again."""


def abort(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End the build that runs."""
