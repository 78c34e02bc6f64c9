"""An online shop's invoice lines (UCI Online Retail) as products, purchases and refunds.

An invoice is one purchase with the invoice as its order. A cancellation gives back what the same customer
bought earlier, newest order first; what no earlier order explains is a refund of its own order, the
cancellation. A customer is the shopper: rows without one are skipped, since an invented shopper per invoice
would count as one more buyer each.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inbound.importers.outcome import Body, ImportOutcome, Records, Skipped, Why
from inbound.importers.retail_rows import InvoiceLine
from schemas.bounds import ITEMS
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection
from schemas.text import clean_text, is_placeholder

CURRENCY = "GBP"  # the ledger is in sterling throughout
# Postage, carriage, fees, corrections and tests stand between the goods.
_NOT_GOODS = frozenset(
    {
        "POST",
        "DOT",
        "C2",
        "C3",
        "D",
        "M",
        "S",
        "B",
        "CRUK",
        "ADJUST",
        "ADJUST2",
        "AMAZONFEE",
        "BANK CHARGES",
        "GIFT",
    }
)


@dataclass(slots=True)
class Bought:
    """Units of one product in one order that have not come back."""

    order_id: str
    units: int


Orders = dict[tuple[str, str], list[Bought]]  # by customer and stock code, oldest first


def convert_rows(
    rows: Iterable[tuple[int, InvoiceLine | Rejection]], orders: Orders
) -> Iterator[ImportOutcome]:
    """Yield the products, then what became of every row: each number stands in exactly one outcome.

    ``orders`` is what is known of earlier purchases, ``{}`` for a first file; it is brought up to date, so
    that a second file can go on from the first. The whole input is held in memory: an invoice's lines need
    not stand together.
    """
    sound: list[InvoiceLine] = []
    seen: set[tuple[object, ...]] = set()
    for number, row in rows:
        verdict = row if isinstance(row, Rejection) else judge(row, seen)
        if isinstance(verdict, InvoiceLine):
            sound.append(verdict)
        else:
            yield ImportOutcome((number,), verdict)
    titles = title_products(sound)
    yield from (
        ImportOutcome((), [("products", {"product_id": code, "title": title})])
        for code, title in titles.items()
    )
    invoices: dict[tuple[str, str], list[InvoiceLine]] = defaultdict(list)
    for row in sound:
        if row.stock_code not in titles:
            yield ImportOutcome((row.number,), Skipped(Why.NO_DESCRIPTION))
        elif not row.customer_id:
            yield ImportOutcome((row.number,), Skipped(Why.NO_CUSTOMER))
        else:
            invoices[row.invoice, row.customer_id].append(row)
    for lines in sorted(invoices.values(), key=lambda lines: (lines[0].at, lines[0].number)):
        records = refunds(lines, orders) if lines[0].is_cancellation else purchases(lines, orders)
        yield ImportOutcome(tuple(row.number for row in lines), records)


def judge(row: InvoiceLine, seen: set[tuple[object, ...]]) -> InvoiceLine | Skipped | Rejection:
    """Return the row when it is a sale or a cancellation of goods told for the first time.

    Else why it is not. Adds to ``seen``.
    """
    content = (
        row.invoice,
        row.stock_code,
        row.description,
        row.quantity,
        row.at,
        row.price,
        row.customer_id,
        row.country,
    )
    if content in seen:
        return Skipped(Why.DUPLICATE)
    seen.add(content)
    code = row.stock_code.upper()
    if code in _NOT_GOODS or code.startswith("TEST"):
        return Skipped(Why.NOT_A_PRODUCT, code)
    if row.quantity == 0 or (row.is_cancellation and row.quantity > 0):
        return refuse(Reason.SCHEMA, "quantity", "nothing was sold and nothing taken back")
    if row.price < 0:
        return refuse(Reason.SCHEMA, "price", "a price below zero")
    if not row.is_cancellation and (row.quantity < 0 or not (row.description or row.price)):
        return Skipped(Why.STOCK_ADJUSTMENT)
    return row


def title_products(rows: Iterable[InvoiceLine]) -> dict[str, str]:
    """Return the most frequent description of every stock code, cleaned.

    Of equally frequent ones the first by alphabet. A code that is described by nothing, or by placeholders,
    is left out.
    """
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        title = clean_text(row.description)
        if title and not is_placeholder(title):
            told[row.stock_code][title] += 1
    return {code: min(titles, key=lambda title: (-titles[title], title)) for code, titles in told.items()}


def purchases(lines: Sequence[InvoiceLine], orders: Orders) -> Records:
    """Return an invoice as one purchase, or several of one order when it is longer than our contract takes.

    Remembers it in ``orders``.
    """
    by_product: dict[str, list[Body]] = defaultdict(list)
    for row in lines:
        by_product[row.stock_code].append(_item(row, row.quantity))
        orders.setdefault((row.customer_id, row.stock_code), []).append(Bought(row.invoice, row.quantity))
    # A product's lines stay in one event: attribution numbers them there.
    return _events(lines[0], "purchase", lines[0].invoice, list(by_product.values()))


def refunds(lines: Sequence[InvoiceLine], orders: Orders) -> Records:
    """Return a cancellation as one refund per order that it takes something back from.

    Takes it off ``orders``.
    """
    by_order: dict[str, list[list[Body]]] = defaultdict(list)
    for row in lines:
        for order_id, units in take_back(
            orders.get((row.customer_id, row.stock_code), []), -row.quantity, row.invoice
        ):
            by_order[order_id].append([_item(row, units)])
    return [
        record
        for order_id, items in by_order.items()
        for record in _events(lines[0], "refund", order_id, items)
    ]


def take_back(bought: list[Bought], units: int, own_order: str) -> list[tuple[str, int]]:
    """Return from which orders ``units`` come back, and how many of each: they sum to ``units``.

    The newest order that still holds all of them; else the newest first until they are used up; the rest from
    ``own_order``.
    """
    whole = next((b for b in reversed(bought) if b.units >= units), None)
    taken: Counter[str] = Counter()
    for order in [whole] if whole else reversed(bought):
        gone = min(order.units, units)
        order.units -= gone
        units -= gone
        if gone:
            taken[order.order_id] += gone
    if units:
        taken[own_order] += units
    return list(taken.items())


def _item(row: InvoiceLine, units: int) -> Body:
    return {"object_id": row.stock_code, "quantity": units, "unit_price": row.price, "currency": CURRENCY}


def _events(first: InvoiceLine, action: str, order_id: str, groups: Sequence[list[Body]]) -> Records:
    """Return interactions of at most ``ITEMS`` lines; a group is never split."""
    packs: list[list[Body]] = [[]]
    for group in groups:
        if packs[-1] and len(packs[-1]) + len(group) > ITEMS:
            packs.append([])
        packs[-1].extend(group)
    base: Body = {
        "timestamp": first.at.isoformat(),
        "application": "online-retail",
        "client_id": first.customer_id,
        "action_name": action,
        "order_id": order_id,
    }
    ids = [
        f"online-retail-{first.invoice}-{first.customer_id}-{order_id}-{number}"
        for number in range(len(packs))
    ]
    return [
        ("interactions", {"event_id": event_id, **base, "items": pack})
        for event_id, pack in zip(ids, packs, strict=True)
    ]
