"""What ``releases`` takes."""

from commands.options.shared import AsJson, At, DataDir


def releases(at: At = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List generations, or say what served at a moment and who promoted it."""
