"""Files of judgments: read as a whole, or refused with every problem."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from commands.support.lines import ensure_readable, read_lines
from commands.support.session import MISUSED, stop
from operations.judgment_lines import Ratings, read_judgments
from schemas.bounds import RATINGS
from schemas.judged_queries import SetName

_TOLD = 10
_NAME: TypeAdapter[str] = TypeAdapter(SetName)


def ensure_set_name(name: str) -> None:
    """Stop with exit code 2 where no set can be called so."""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        stop(
            f"{name!r} cannot name a set: up to 40 of a-z, 0-9, point, dash and underscore, the first a "
            "letter or digit",
            code=MISUSED,
        )


def ratings_of(path: Path) -> Ratings:
    """Return what a file of judgments says. Stops with exit code 2 and every problem where one is wrong."""
    ensure_readable(str(path))
    ratings, problems = read_judgments(read_lines(str(path)))
    if problems:
        told = "\n".join(f"line {p.line}: {p.reason}" for p in problems[:_TOLD])
        more = f"\nand {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        stop(f"{path} has {len(problems)} problem(s); nothing was kept or scored\n{told}{more}", code=MISUSED)
    if not ratings:
        stop(f"{path} holds no judgment", code=MISUSED)
    if (most := max(map(len, ratings.values()))) > RATINGS:
        stop(f"{path} rates {most} products for one query; {RATINGS} are the most", code=MISUSED)
    return ratings
