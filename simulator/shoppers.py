"""Shoppers and their visits.

Searches, position-biased looks, clicks, carts, purchases that may come days later, refunds. Decides behaviour
from intents, styles and a ``Ranker``. A purchase's truth is the search whose hit was put into the cart. It
knows nothing of dirt or transport.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import numpy as np

from schemas.text import normalise_query
from simulator import shop_records as records
from simulator.assortment import SimProduct
from simulator.intents import Demand, Intent, Relevance
from simulator.lexicon import Lexicon
from simulator.old_engine import Ranker
from simulator.shop_records import Identity, Kind, LineTruth, RawRecord, SimulatedOrderLine
from simulator.wording import Style, draw_style, word_intent

_EXPLAINING = Style(slang=0.0, formal=0.7)
# chance by how well the product fits: in full, nearly, not at all
_CLICK = (0.62, 0.10, 0.008)
_CART = (0.42, 0.12, 0.03)
_BUY = 0.6
_SOON = 0.55
_REFUND = 0.07
_DIRECT = 0.04
_NEXT_INTENT = 0.35
_REPHRASE = 0.65


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shopper:
    client_id: str
    user_id: str | None
    style: Style


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    query_id: str
    query: str
    shown: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class _Visit:
    who: Identity
    style: Style
    week: int
    at: datetime
    rng: Random
    sent: list[RawRecord]
    asked: dict[str, Intent]
    searches: list[_Search] = field(default_factory=list)
    cart: dict[str, LineTruth] = field(default_factory=dict)

    def wait(self, low: float, high: float) -> datetime:
        self.at += timedelta(milliseconds=round(self.rng.uniform(low, high) * 1000))
        return self.at

    def stale_query_id(self, product_ids: Iterable[str]) -> str:
        """Return the id a careless page sends.

        That of the visit's latest search that showed none of these, or of one long gone.
        """
        bought = set(product_ids)
        others = [s.query_id for s in self.searches if bought.isdisjoint(s.shown)]
        return others[-1] if others else f"q{self.rng.getrandbits(48):012x}"


class Shoppers:
    """The customers of one shop. Every week is simulated on its own: the order of calls changes nothing."""

    def __init__(
        self,
        products: Sequence[SimProduct],
        lex: Lexicon,
        relevance: Relevance,
        ranker: Ranker,
        *,
        seed: int,
        count: int,
    ) -> None:
        self._products = {p.product_id: p for p in products}
        self._row = {p.product_id: row for row, p in enumerate(products)}
        self._lex, self._relevance, self._ranker, self._seed = lex, relevance, ranker, seed
        rng = Random(f"shoppers:{seed}")
        self._people = [
            _Shopper(
                client_id=f"c{n:06d}",
                user_id=f"u{rng.getrandbits(40):010x}" if rng.random() < 0.4 else None,
                style=draw_style(rng),
            )
            for n in range(count)
        ]

    def week(self, week: int, *, start: datetime, sessions: int) -> tuple[list[RawRecord], dict[str, Intent]]:
        """Return what the visits begun in the 7 days from ``start`` lead to.

        And the intent of each normalised query. The records are in no order, and some lie up to 13 days
        later. A text of two intents keeps the first.
        """
        rng = Random(f"visits:{self._seed}:{week}")
        luck = np.random.default_rng([self._seed, week])
        demand = Demand(list(self._products.values()), seed=self._seed, week=week)
        sent: list[RawRecord] = []
        asked: dict[str, Intent] = {}
        for _ in range(sessions):
            person = rng.choice(self._people)
            at = start + timedelta(
                days=rng.randrange(7), seconds=round(rng.triangular(7.0, 23.4, 19.5) * 3600, 3)
            )
            who = Identity(
                client_id=person.client_id, session_id=f"s{rng.getrandbits(48):012x}", user_id=person.user_id
            )
            visit = _Visit(who=who, style=person.style, week=week, at=at, rng=rng, sent=sent, asked=asked)
            if rng.random() < _DIRECT:
                self._browse(visit, demand)
            else:
                self._pursue(visit, demand.draw(rng), luck)
                while rng.random() < _NEXT_INTENT:
                    visit.wait(20, 200)
                    self._pursue(visit, demand.draw(rng), luck)
            self._check_out(visit)
        return sent, asked

    def sample(self, week: int, rng: Random, n: int) -> Iterator[tuple[str, Intent]]:
        """Yield ``n`` queries as shoppers of ``week`` would type them, with what is meant."""
        demand = Demand(list(self._products.values()), seed=self._seed, week=week)
        for _ in range(n):
            intent = demand.draw(rng)
            yield word_intent(intent, rng.choice(self._people).style, self._lex, week=week, rng=rng), intent

    def _pursue(self, visit: _Visit, intent: Intent, luck: np.random.Generator) -> None:
        """Search, look, click; with nothing clicked often say it again in plainer words."""
        style = visit.style
        for _ in range(3):
            text = word_intent(intent, style, self._lex, week=visit.week, rng=visit.rng)
            if (
                self._look(visit, intent, self._ask(visit, intent, text, luck))
                or visit.rng.random() > _REPHRASE
            ):
                return
            style = _EXPLAINING
            visit.wait(3, 40)

    def _ask(self, visit: _Visit, intent: Intent, text: str, luck: np.random.Generator) -> _Search:
        query = normalise_query(text)
        visit.asked.setdefault(query, intent)
        shown = tuple(self._ranker(text, visit.week, luck))
        found = _Search(query_id=f"q{visit.rng.getrandbits(48):012x}", query=query, shown=shown)
        visit.sent.append(
            records.search(
                visit.who, visit.at, query_id=found.query_id, query=text, shown=shown, rng=visit.rng
            )
        )
        visit.searches.append(found)
        return found

    def _look(self, visit: _Visit, intent: Intent, found: _Search) -> bool:
        """Go down the list; what stands lower is seen less. Return whether anything was clicked."""
        rng, clicked = visit.rng, False
        gains = self._relevance.gains(intent, visit.week)
        for ordinal, product_id in enumerate(found.shown, 1):
            # A shop whose engine answers with other ids than the catalogue's shows things nobody wants.
            gain = float(gains[self._row[product_id]]) if product_id in self._row else 0.0
            fit = 0 if gain > 1 else 1 if gain > 0 else 2
            if rng.random() >= ordinal**-0.5 or rng.random() >= _CLICK[fit] * (
                0.6 + 0.4 * min(1.0, gain - 2) if fit == 0 else 1
            ):
                continue
            clicked = True
            line = LineTruth(product_id=product_id, query_id=found.query_id, query=found.query)
            self._engage(visit, "click", line, 0.93, ordinal, (2, 30))
            if rng.random() < 0.2:
                self._engage(visit, "view", line, 0.5, None, (1, 4))
            if product_id not in visit.cart and rng.random() < _CART[fit]:
                self._engage(visit, "add_to_cart", line, 0.6, None, (5, 90))
                visit.cart[product_id] = line
                if rng.random() < 0.06:
                    self._engage(visit, "remove_from_cart", line, 0.3, None, (10, 90))
                    del visit.cart[product_id]
        return clicked

    def _engage(
        self,
        visit: _Visit,
        action: str,
        line: LineTruth,
        named: float,
        ordinal: int | None,
        pause: tuple[float, float],
    ) -> None:
        query_id = line.query_id if visit.rng.random() < named else None
        at = visit.wait(*pause)
        visit.sent.append(
            records.engagement(visit.who, at, action, line, query_id=query_id, ordinal=ordinal, rng=visit.rng)
        )

    def _browse(self, visit: _Visit, demand: Demand) -> None:
        """Come from a link, without a search; the page may still send an old query id."""
        intent = demand.draw(visit.rng)
        product_id = next(iter(self._relevance.by_id(intent, visit.week)))
        line = LineTruth(product_id=product_id)
        stale = visit.stale_query_id([product_id]) if visit.rng.random() < 0.5 else None
        kind = Kind.STALE_QUERY_ID if stale else Kind.CLEAN
        visit.sent.append(
            records.engagement(
                visit.who, visit.at, "click", line, query_id=stale, ordinal=None, rng=visit.rng, kind=kind
            )
        )
        if visit.rng.random() < 0.3:
            visit.cart[product_id] = line
            visit.wait(20, 200)

    def _check_out(self, visit: _Visit) -> None:
        """Buy the cart, now or within six days, and perhaps give a line of it back within six more."""
        rng = visit.rng
        if not visit.cart or rng.random() >= _BUY:
            return
        who = visit.who
        if rng.random() < _SOON:
            visit.wait(60, 900)
        else:
            visit.wait(12 * 3600, 6 * 86_400)
            who = Identity(
                client_id=who.client_id, session_id=f"s{rng.getrandbits(48):012x}", user_id=who.user_id
            )
        truths, named = list(visit.cart.values()), rng.random()
        lines = [self._line(truth, rng, named=named < 0.13) for truth in truths]
        stale = visit.stale_query_id(visit.cart) if 0.13 <= named < 0.28 else None
        kind = Kind.STALE_QUERY_ID if stale else Kind.CLEAN
        order_id = f"o{rng.getrandbits(48):012x}"
        visit.sent.append(
            records.order(
                who, visit.at, "purchase", lines, order_id=order_id, rng=rng, query_id=stale, kind=kind
            )
        )
        if rng.random() < _REFUND:
            at = visit.wait(3600, 6 * 86_400)
            visit.sent.append(
                records.order(who, at, "refund", [rng.choice(lines)], order_id=order_id, rng=rng)
            )

    def _line(self, truth: LineTruth, rng: Random, *, named: bool) -> SimulatedOrderLine:
        return SimulatedOrderLine(
            truth=truth,
            quantity=rng.choices((1, 2, 3), (88, 9, 3))[0],
            unit_price=self._price(self._products, truth.product_id),
            query_id=truth.query_id if named else None,
        )

    @staticmethod
    def _price(products: Mapping[str, SimProduct], product_id: str) -> float:
        return products[product_id].price if product_id in products else 0.0
