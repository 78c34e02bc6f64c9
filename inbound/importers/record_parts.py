"""What several formats fill in alike: a search that may have no id, and a line of an interaction. Pure."""

from inbound.importers.fields import Identity, first_text, present
from inbound.importers.outcome import Body, Records, Skipped, Why
from schemas.events import Action

ORDERS = frozenset({Action.PURCHASE, Action.REFUND})  # what an order_id says something of


def search_of(envelope: Body, words: object, **shown: object) -> Records | Skipped:
    """Return a search; one without words is skipped.

    Where nothing names it, its event's id does: later events find it by session and words.
    """
    query = first_text(words)
    if query is None:
        return Skipped(Why.NO_QUERY)
    named = envelope | {"query_id": envelope["query_id"] or envelope["event_id"]}
    return [("searches", present(**named, user_query=query, **shown))]


def line_of(
    product: Identity, quantity: object, price: object, currencies: tuple[object, ...], **more: object
) -> Body:
    """Return a line: the first of ``currencies`` that is a text is the price's, and nothing without one."""
    currency = first_text(*currencies) if price is not None else None
    return present(object_id=product, quantity=quantity, unit_price=price, currency=currency, **more)
