"""Judgments in files and in what a browser sends: JSON lines, or CSV with a head line. Pure.

A line is ``{"query": ..., "product_id": ..., "relevance": ...}``; other fields are ignored. A first line that
begins with ``query,`` makes it CSV, with the columns that it names.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pydantic import ValidationError

from schemas.decoding import BOM, refuse
from schemas.judged_queries import Judgment
from schemas.rejections import Reason, Rejection

COLUMNS = ("query", "product_id", "relevance")
_CSV_BEGINS = b"query,"
# Ratings by query and product; queries in the form of all others.
Ratings = Mapping[str, Mapping[str, float]]
_Line = bytes | Rejection


@dataclass(frozen=True)
class JudgmentProblem:
    """What is wrong with a line; lines count from 1."""

    line: int
    reason: str


def read_judgments(lines: Iterable[_Line]) -> tuple[dict[str, dict[str, float]], list[JudgmentProblem]]:
    """Return the ratings, sorted by query and product, and every problem in the order of lines.

    A line that could not be read is a problem, and so are two that disagree; the same judgment twice is one.
    Blank lines do not count; nothing in gives nothing out.
    """
    found: dict[tuple[str, str], tuple[float, int]] = {}
    problems: list[JudgmentProblem] = []
    for number, line in enumerate(_as_json(lines), 1):
        read = _read(line)
        if isinstance(read, str):
            problems.append(JudgmentProblem(number, read))
        if not isinstance(read, Judgment):
            continue
        said, earlier = found.setdefault((read.query, read.product_id), (read.relevance, number))
        if said != read.relevance:
            differs = (
                f"relevance: {read.relevance:g}, but line {earlier} says {said:g} for the same query and "
                "product"
            )
            problems.append(JudgmentProblem(number, differs))
    ratings: dict[str, dict[str, float]] = {}
    for (query, product), (relevance, _) in sorted(found.items()):
        ratings.setdefault(query, {})[product] = relevance
    return ratings, problems


def as_lines(ratings: Ratings) -> str:
    """Return JSON lines, which ``read_judgments`` reads."""
    return "".join(
        json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in _rows(ratings)
    )


def as_csv(ratings: Ratings) -> str:
    """Return CSV with a head line, which ``read_judgments`` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(ratings))
    return text.getvalue()


def _rows(ratings: Ratings) -> Iterator[tuple[str, str, float]]:
    for query, products in sorted(ratings.items()):
        yield from ((query, product, relevance) for product, relevance in sorted(products.items()))


def _as_json(lines: Iterable[_Line]) -> Iterator[_Line]:
    """Yield a line for each line: of CSV the head as a blank one, and rows as objects."""
    rest = iter(lines)
    first = next(rest, b"")
    head = b"" if isinstance(first, Rejection) else first.removeprefix(BOM).strip()
    if not head.lower().startswith(_CSV_BEGINS):
        yield from chain([first], rest)
        return
    columns = [column.strip() for column in head.decode(errors="replace").lower().split(",")]
    yield b""
    for line in rest:
        if isinstance(line, Rejection) or not line.strip():
            yield line
        else:
            yield _row(columns, line)


def _row(columns: Sequence[str], line: bytes) -> _Line:
    try:
        cells = next(csv.reader([line.decode(errors="replace")]))
    except csv.Error as error:  # a cell of 131,073 characters
        return refuse(Reason.SCHEMA, message=f"not CSV: {error}")
    return json.dumps(dict(zip(columns, cells, strict=False))).encode()


def _read(line: _Line) -> Judgment | str | None:
    """Return the judgment of a line, or what is wrong with it; None for a blank line."""
    if isinstance(line, Rejection):
        return line.problems[0].message
    if not line.strip():
        return None
    try:
        return Judgment.model_validate_json(line.removeprefix(BOM))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        return f"{place}: {said}" if place else said
