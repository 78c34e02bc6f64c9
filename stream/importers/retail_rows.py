"""Rows of a retail ledger in CSV as typed values: the columns of UCI Online Retail (I and II), whatever their spelling.

Decides whether a row can be read; what a row means is decided in ``stream.importers.retail``.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

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
_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M")


@dataclass(frozen=True, slots=True)
class Row:
    """One invoice line. ``number`` counts data rows from 1; ``quantity`` is negative for goods that came back; blank texts are ``""``."""

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


def read_rows(lines: Iterable[str]) -> Iterator[tuple[int, Row | Rejection]]:
    """Yield every data row with its number. Raises ``ValueError`` when the header lacks a column."""
    reader = csv.reader(lines)
    header = [_COLUMNS.get("".join(c for c in name.casefold() if c.isalnum()), "") for name in next(reader, [])]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ValueError(f"the CSV header lacks {', '.join(missing)}")
    for number, cells in enumerate(filter(None, reader), start=1):
        if len(cells) != len(header):
            yield number, refuse(Reason.SCHEMA, message=f"{len(cells)} cells, {len(header)} columns")
        else:
            yield number, _row(number, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name})


def _row(number: int, cells: Mapping[str, str]) -> Row | Rejection:
    at = _date(cells["invoice_date"])
    if at is None:
        return refuse(Reason.SCHEMA, "invoice_date", "a date and time is expected")
    if not cells["invoice"] or not cells["stock_code"]:
        return refuse(Reason.SCHEMA, "invoice", "an invoice and a stock code are expected")
    try:
        quantity, price = int(cells["quantity"]), float(cells["price"])
    except ValueError:
        return refuse(Reason.SCHEMA, "quantity", "a whole quantity and a decimal price are expected")
    return Row(
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
