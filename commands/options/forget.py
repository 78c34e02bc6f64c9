"""What ``forget`` takes."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir


def forget(
    client: Annotated[str | None, typer.Option(help="The client_id of the shopper's events.")] = None,
    session: Annotated[
        str | None, typer.Option(help="Its session_id, where the events name no client.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Its user_id, where they name neither.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until no pair names it any more.")
    ] = True,
    files_only: Annotated[
        bool,
        typer.Option(
            "--files-only", help="Ask nothing of Kafka: only rewrite the files of the runs on this machine."
        ),
    ] = False,
    timeout_s: Annotated[float, typer.Option(help="Stop waiting after so many seconds.")] = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget a shopper: take back what it has earned and erase it from every pair and run."""
