"""What ``status`` takes."""

from commands.options.shared import AsJson, DataDir


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what runs and what serves."""
