"""An operator's own judgments: which product is how relevant to which query.

Checked line by line, kept as named sets. A line is ``{"query": ..., "product_id": ..., "relevance": ...}``;
other fields are ignored. Relevance 0 means not relevant, more is the gain of the product, so 1, 2, 3 count 1,
2, 3. Knows no model and no topic.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from schemas.base import Id, refuse_bool
from schemas.decoding import BOM
from schemas.rejections import Rejection
from schemas.text import normalise_query
from trainer.run.folder import write_durably

SCHEMA = pl.Schema({"query": pl.String, "product_id": pl.String, "relevance": pl.Float64})
MAX_RELEVANCE = 1000.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_FOLDER = "judgments"


class JudgmentsError(ValueError):
    """A name that no set can have, or a set that is not there or cannot be read."""


class Judgment(BaseModel):
    """One line."""

    query: str
    product_id: Id
    relevance: Annotated[
        float, BeforeValidator(refuse_bool), Field(ge=0, le=MAX_RELEVANCE, allow_inf_nan=False)
    ]


@dataclass(frozen=True)
class JudgmentProblem:
    """What is wrong with a line; lines count from 1."""

    line: int
    reason: str


def read_judgments(lines: Iterable[bytes | Rejection]) -> tuple[pl.DataFrame, list[JudgmentProblem]]:
    """Return the judgments, sorted by query and product, and every problem.

    A line that could not be read is one. Blank lines do not count; nothing in gives nothing out.

    Queries are normalised as everywhere. The same judgment twice is one; two that disagree are a problem, as
    is a query of which no product is relevant, since nothing could be ranked right or wrong.
    """
    found: dict[tuple[str, str], tuple[float, int]] = {}
    problems: list[JudgmentProblem] = []
    for number, line in enumerate(lines, 1):
        read = _read(line)
        if isinstance(read, str):
            problems.append(JudgmentProblem(number, read))
        if not isinstance(read, Judgment):
            continue
        query, relevance = normalise_query(read.query), read.relevance
        said, earlier = found.setdefault((query, read.product_id), (relevance, number))
        if said != relevance:
            differs = (
                f"relevance: {relevance:g}, but line {earlier} says {said:g} for the same query and product"
            )
            problems.append(JudgmentProblem(number, differs))
    frame = pl.DataFrame(
        [(*key, relevance) for key, (relevance, _) in sorted(found.items())], schema=SCHEMA, orient="row"
    )
    problems += _without_relevant(found)
    return frame, sorted(problems, key=lambda p: p.line)


def _read(line: bytes | Rejection) -> Judgment | str | None:
    """Return the judgment of a line, or what is wrong with it; None for a blank line."""
    if isinstance(line, Rejection):
        return line.problems[0].message
    if not line.strip():
        return None
    try:
        judgment = Judgment.model_validate_json(line.removeprefix(BOM))
    except ValidationError as error:
        return _reason(error)
    return judgment if normalise_query(judgment.query) else "query: it is blank"


def _without_relevant(found: Mapping[tuple[str, str], tuple[float, int]]) -> Iterator[JudgmentProblem]:
    """Yield a problem for each query of which no product is relevant, at its first line."""
    first: dict[str, int] = {}
    best: dict[str, float] = {}
    for (query, _), (relevance, number) in found.items():
        first[query] = min(number, first.get(query, number))
        best[query] = max(relevance, best.get(query, 0))
    for query, relevance in best.items():
        if relevance == 0:
            yield JudgmentProblem(
                first[query], f"no product is relevant to {query!r}: at least one needs a relevance above 0"
            )


def qrels_of(judgments: pl.DataFrame, trained: pl.DataFrame) -> pl.DataFrame:
    """Return judgments as qrels.

    Columns: query, product_id, credit and gain (both the relevance), unseen (the query has no pair in
    ``trained``).
    """
    seen = trained["query"].unique().to_list()
    relevant = judgments.filter(pl.col("relevance") > 0)
    return relevant.select(
        "query", "product_id", credit="relevance", gain="relevance", unseen=~pl.col("query").is_in(seen)
    )


def keep(data_dir: Path, name: str, judgments: pl.DataFrame) -> Path:
    """Write a named set, in place of an earlier one of this name.

    Raises ``JudgmentsError`` for a name that is no file name.
    """
    path = _path(data_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in judgments.iter_rows(named=True))
    write_durably(path, "".join(line + "\n" for line in lines).encode())
    return path


def named_sets(data_dir: Path) -> dict[str, pl.DataFrame]:
    """Return every kept set by its name: query, product_id, relevance. None kept gives an empty mapping.

    Raises ``JudgmentsError`` for a set that was damaged by hand: a gate must not pass because its evidence is
    gone.
    """
    return {path.stem: _load(path) for path in sorted((data_dir / _FOLDER).glob("*.jsonl"))}


def _load(path: Path) -> pl.DataFrame:
    with path.open("rb") as lines:
        frame, problems = read_judgments(lines)
    if problems:
        raise JudgmentsError(
            f"{path}, line {problems[0].line}: {problems[0].reason}; put it right, or remove the file"
        )
    return frame


def _path(data_dir: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise JudgmentsError(
            f"{name!r} cannot name a set: up to 40 of a-z, 0-9, point, dash and underscore, the first a "
            "letter or digit"
        )
    return data_dir / _FOLDER / f"{name}.jsonl"


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
