"""How templates become pages: every text is escaped, and a name that is not there is a fault."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent
LOOK = _HERE / "look.css"


def templates(folder: Path, **filters: Callable[..., object]) -> Environment:
    """Return the templates of a folder, with what all share: ``look.css`` and ``self_contained.html``."""
    found = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= filters
    return found
