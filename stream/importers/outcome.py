"""What becomes of a foreign line: records of ours, skipped because we have no use for it, or refused because it is broken.

Every line of an input belongs to exactly one outcome, so the numbers of a summary add up. Knows no format.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

Body = dict[str, object]
Records = list[tuple[str, Body]]  # the short name of a raw topic, and what to write there


class Why(StrEnum):
    """Why a sound line is not imported: a closed list."""

    UNUSED_ACTION = "unused_action"
    NO_PRODUCT = "no_product"
    NO_QUERY = "no_query"
    DUPLICATE = "duplicate"
    NO_CUSTOMER = "no_customer"
    NO_DESCRIPTION = "no_description"
    NOT_A_PRODUCT = "not_a_product"
    STOCK_ADJUSTMENT = "stock_adjustment"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sound record that says nothing we use. ``detail`` is a name from the record, such as its action."""

    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some lines, numbered from 1. Without lines: records derived from the whole file."""

    lines: tuple[int, ...]
    result: Records | Skipped | Rejection


Convert = Callable[[Body], Records | Skipped | Rejection]


def convert_lines(lines: Iterable[bytes], convert: Convert) -> Iterator[Outcome]:
    """Yield one outcome per JSON line. A line that is no JSON object is refused, and the next one is read."""
    for number, line in enumerate(lines, start=1):
        parsed = _parse(line)
        yield Outcome((number,), parsed if isinstance(parsed, Rejection) else convert(parsed))


def _parse(line: bytes) -> Body | Rejection:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return refuse(Reason.UNDECODABLE_TEXT, message=f"not UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return refuse(Reason.JSON_DECODE, message=f"not JSON at character {getattr(error, 'pos', 0)}")
    return record if isinstance(record, dict) else refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
