"""What ``doctor`` takes."""

from commands.options.shared import AsJson, DataDir


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say whether this machine can run searchloop; `catalog` and `events` judge what is sent."""
