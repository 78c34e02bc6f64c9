"""What becomes of a foreign line.

Records of ours, skipped because we have no use for it, or refused because it is broken. Every line of an
input belongs to exactly one outcome, so the numbers of a summary add up. Knows no format.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.decoding import load
from schemas.rejections import Rejection

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
    OTHER_KIND = "other_kind"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sound record that says nothing we use. ``detail`` is a name from the record, such as its action."""

    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a line that holds several records.

    Those of ours, and the parts that say nothing we use.
    """

    records: Records
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of some lines, numbered from 1.

    Without lines: records derived from the whole file. ``skipped``: parts of the lines.
    """

    lines: tuple[int, ...]
    result: Records | Skipped | Rejection
    skipped: Sequence[Skipped] = ()


Convert = Callable[[Body], Records | Batch | Skipped | Rejection]


def convert_numbered(
    lines: Iterable[tuple[int, bytes | Rejection]], convert: Convert
) -> Iterator[ImportOutcome]:
    """Yield one outcome per numbered line.

    One that could not be read, or is no JSON object, is refused, and the next one is read.
    """
    for number, line in lines:
        parsed = line if isinstance(line, Rejection) else load(line)
        found = parsed if isinstance(parsed, Rejection) else convert(parsed)
        yield (
            ImportOutcome((number,), found.records, found.skipped)
            if isinstance(found, Batch)
            else ImportOutcome((number,), found)
        )
