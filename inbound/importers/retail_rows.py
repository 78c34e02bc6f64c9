"""Rows of a retail ledger in CSV as typed values.

The columns of UCI Online Retail (I and II), whatever their spelling. Decides whether a row can be read; what
a row means is decided in ``inbound.importers.retail``.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO

from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

_COLUMNS = {
    "invoice": "invoice",
    "invoiceno": "invoice",
    "stockcode": "stock_code",
    "description": "description",
    "quantity": "quantity",
    "invoicedate": "invoice_date",
    "price": "price",
    "unitprice": "price",
    "customerid": "customer_id",
    "country": "country",
}
_NEEDED = ("invoice", "stock_code", "description", "quantity", "invoice_date", "price", "customer_id")
# Of one row: a description may hold line breaks, a book may not.
_MOST_LINES = 20
_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One invoice line.

    ``number`` counts data rows from 1; ``quantity`` is negative for goods that came back; blank texts are
    ``""``.
    """

    number: int
    invoice: str
    stock_code: str
    description: str
    quantity: int
    at: datetime
    price: float
    customer_id: str
    country: str

    @property
    def is_cancellation(self) -> bool:
        """Say whether the invoice takes an earlier one back, in full or in part."""
        return self.invoice[:1] in ("C", "c")


def read_rows(lines: Iterable[str | Rejection]) -> Iterator[tuple[int, InvoiceLine | Rejection]]:
    """Yield every data row with its number. Raises ``ValueError`` when the header lacks a column.

    A quoted cell may go on over a few lines. A quote that nothing closes spoils its own line and no other; a
    line that could not be read is a row that is refused.
    """
    rows = _cells(lines)
    first: list[str] | Rejection = next(rows, [])
    if isinstance(first, Rejection):
        raise ValueError(f"the CSV header cannot be read: {first.problems[0].message}")  # noqa: TRY004 - it is the operator's file
    header = [_COLUMNS.get("".join(c for c in name.casefold() if c.isalnum()), "") for name in first]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ValueError(f"the CSV header lacks {', '.join(missing)}")
    for number, cells in enumerate((row for row in rows if row), start=1):
        if isinstance(cells, Rejection):
            yield number, cells
        elif len(cells) != len(header):
            yield number, refuse(Reason.SCHEMA, message=f"{len(cells)} cells, {len(header)} columns")
        else:
            yield (
                number,
                _row(number, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name}),
            )


def _cells(lines: Iterable[str | Rejection]) -> Iterator[list[str] | Rejection]:
    """Yield the cells of every row: a row is a line, or a few of them where a quote is open."""
    waiting: deque[str | Rejection] = deque()
    source = iter(lines)
    while True:
        line = waiting.popleft() if waiting else next(source, None)
        if line is None:
            return
        if isinstance(line, Rejection):
            yield line
            continue
        taken = [line]
        while "".join(taken).count('"') % 2 and len(taken) < _MOST_LINES:
            following = waiting.popleft() if waiting else next(source, None)
            if not isinstance(following, str):
                waiting.extendleft([following] if following else [])
                break
            taken.append(following)
        text = "".join(taken)
        if text.count('"') % 2:
            waiting.extendleft(reversed(taken[1:]))
            yield refuse(Reason.SCHEMA, message="a quote that nothing closes")
            continue
        try:
            yield from csv.reader(StringIO(text, newline=""))
        except csv.Error as error:
            yield refuse(Reason.SCHEMA, message=f"no row of CSV: {error}")


def _row(number: int, cells: Mapping[str, str]) -> InvoiceLine | Rejection:
    at = _date(cells["invoice_date"])
    if at is None:
        return refuse(Reason.SCHEMA, "invoice_date", "a date and time is expected")
    if not cells["invoice"] or not cells["stock_code"]:
        return refuse(Reason.SCHEMA, "invoice", "an invoice and a stock code are expected")
    try:
        quantity, price = int(cells["quantity"]), float(cells["price"])
    except ValueError:
        return refuse(Reason.SCHEMA, "quantity", "a whole quantity and a decimal price are expected")
    return InvoiceLine(
        number=number,
        invoice=cells["invoice"],
        stock_code=cells["stock_code"],
        description=cells["description"],
        quantity=quantity,
        at=at,
        price=price,
        customer_id=cells["customer_id"].removesuffix(".0"),
        country=cells.get("country", ""),
    )


def _date(text: str) -> datetime | None:
    """Read a date without zone as UTC; the ledger names none."""
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
