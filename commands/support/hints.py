"""What to do about lines that were refused, or that hold fields nobody reads."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from schemas.rejections import Reason


def not_lines(file: str) -> str:
    """Say what to do with a file none of whose lines is JSON."""
    kind = "looks like CSV and is" if Path(file).suffix.casefold() in {".csv", ".tsv", ".txt"} else "is"
    return (
        f"{file} {kind} no file of JSON lines, one object per line: docs/getting-started.md "
        '("From your own files") has a script that makes one of CSV'
    )


def after_refusals(reasons: Iterable[str], max_age: timedelta) -> list[str]:
    """Return what can be done about refusals of these reasons."""
    hints = []
    if Reason.TOO_OLD in reasons:
        hints.append(
            f"too_old: SEARCHLOOP_MAX_EVENT_AGE is {max_age.days} days. To send history, stop `up` and begin "
            "with an empty data directory (or another SEARCHLOOP_TOPIC_PREFIX) and SEARCHLOOP_MAX_EVENT_AGE="
            "P365D for `up`, `send` and `import`: what comes over a week after a shopper's newer events "
            "counts nothing"
        )
    return hints
