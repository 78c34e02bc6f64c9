"""What the verbs of ``artefacts`` take."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

DryRun = Annotated[bool, typer.Option(help="Say what would be removed, and remove nothing.")]


def list_folders(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the folders of the store, and the generations and runs that need them."""


def gc(dry_run: DryRun = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Remove what no generation and no kept run needs.

    The trainer does so by itself. What stands is kept, the models of the five newest generations before,
    snapshots and reports of the ten newest runs, and what was put there within the last three hours.
    """
