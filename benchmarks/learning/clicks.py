"""The clicks of a shop's log, one a line, with the time of the search and of the click."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.harness.report import read_jsonl


@dataclass(frozen=True)
class Click:
    """One line of the input, with its ISO week."""

    query: str
    product_id: str
    query_time: str
    click_time: str
    session: str
    week: int


def read_clicks(path: Path) -> list[Click]:
    """Read the clicks in the order of the file."""
    fields = ("query", "product_id", "query_time", "click_time", "session")
    return [
        Click(
            **{f: row[f] for f in fields}, week=datetime.fromisoformat(row["click_time"]).isocalendar().week
        )
        for row in read_jsonl(path)
    ]
