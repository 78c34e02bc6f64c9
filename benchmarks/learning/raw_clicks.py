"""The clicks of a shop's log, one a line, with the time of the search and of the click, and where it lies."""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.harness.report import data_folder, read_jsonl


@dataclass(frozen=True)
class Click:
    """One line of the input, with its ISO week."""

    query: str
    product_id: str
    query_time: str
    click_time: str
    session: str
    week: int


def add_log_options(parser: ArgumentParser) -> None:
    """Let a benchmark take another log than that of the shared data."""
    for name in ("clicks", "products"):
        parser.add_argument(
            f"--{name}", type=Path, default=None, help=f"default: bestbuy_{name}.jsonl.gz of the shared data"
        )


def log_files(args: Namespace) -> tuple[Path, Path]:
    """Return the files of clicks and of products that were given, or those of the shared data."""
    return (
        args.clicks or data_folder() / "bestbuy_clicks.jsonl.gz",
        args.products or data_folder() / "bestbuy_products.jsonl.gz",
    )


def read_clicks(path: Path) -> list[Click]:
    """Read the clicks in the order of the file."""
    fields = ("query", "product_id", "query_time", "click_time", "session")
    return [
        Click(
            **{f: row[f] for f in fields}, week=datetime.fromisoformat(row["click_time"]).isocalendar().week
        )
        for row in read_jsonl(path)
    ]
