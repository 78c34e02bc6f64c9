"""The simulated shop.

One seed gives its catalogue, weeks of events, and the truth about every record and every query. Plain data in
order of arrival; sending is somebody else's. Events end at ``end``; what a visit leads to after it has not
happened yet. Measured with the defaults on ``queries(3, 800)``, nDCG@10, seed 2: BM25 .25, pretrained MiniLM
.37, its query side tuned for two passes on the clicks of the weeks before .70; on queries never typed before
.38 becomes .65. Seed 1: .27, .35, after one pass .60; .35 to .53.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from schemas.products import Product
from schemas.rejections import Reason
from schemas.text import clean_text, normalise_query
from simulator.assortment import SimProduct, generate
from simulator.dirt import CATALOG_DIRT, EVENT_DIRT, clicks_on, mangle, soil, transport
from simulator.intents import Intent, Relevance
from simulator.lexicon import lexicon
from simulator.old_engine import OldEngine, Ranker
from simulator.shop_records import Kind, LineTruth, RawRecord, Truth
from simulator.shoppers import Shoppers

WEEK = timedelta(days=7)
# A visit's last consequence, the refund of a late purchase, comes within 13 days of it.
_REACH = 2
_MOJIBAKE = 0.01
_REPRICED = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedQuery:
    """A query text as typed and its truly relevant products with gains, best first.

    ``seen``: shoppers typed it in an earlier week.
    """

    text: str
    gains: dict[str, float]
    seen: bool
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PurchaseTruth:
    """One line of one purchase that arrived, and the search that really earned it."""

    order_id: str
    occurred_at: datetime
    line: LineTruth


class Shop:
    """A shop with ``weeks`` of history that ends at ``end`` (aware).

    All methods give the same on every call.
    """

    def __init__(
        self,
        seed: int,
        *,
        end: datetime,
        products: int = 1500,
        shoppers: int = 1500,
        weeks: int = 4,
        sessions_per_week: int = 950,
        dirt_share: float = 0.03,
        ranker: Ranker | None = None,
    ) -> None:
        if end.tzinfo is None:
            raise ValueError(f"end must have a zone, found {end.isoformat()}; pass datetime.now(UTC)")
        self.seed, self.end, self.weeks = seed, end, weeks
        self.start = end - weeks * WEEK
        self.catalog: list[SimProduct] = generate(seed, products)
        self._relevance = Relevance(self.catalog)
        engine = ranker or OldEngine(self.catalog, lexicon(), seed=seed)
        self._shoppers = Shoppers(self.catalog, lexicon(), self._relevance, engine, seed=seed, count=shoppers)
        self._sessions, self._dirt = sessions_per_week, dirt_share
        self._visits: dict[int, tuple[list[RawRecord], dict[str, Intent]]] = {}
        self._weeks: dict[int, list[RawRecord]] = {}

    def products(self) -> Iterator[RawRecord]:
        """Yield the catalogue as first sent, a day before the first event.

        Launches and changes come with the events.
        """
        rng = Random(f"products:{self.seed}")
        sent = []
        for number, product in enumerate(p for p in self.catalog if p.launched_in == 0):
            at = self.start - timedelta(days=1) + timedelta(milliseconds=10 * number)
            message = product.message(version=1, updated_at=at)
            mangled = mangle(product.title) if rng.random() < 3 * _MOJIBAKE else None
            if mangled is None:
                sent.append(_product_record(message, at, Truth()))
            else:
                truth = Truth(kind=Kind.MOJIBAKE_TITLE, title=clean_text(product.title))
                sent.append(_product_record(message.model_copy(update={"title": mangled}), at, truth))
        yield from soil(sent, CATALOG_DIRT, share=self._dirt, rng=rng, end=self.end)
        for product in self.catalog:
            if product.deleted_in == 0:
                yield _tombstone(product.product_id, self.start - timedelta(hours=1))

    def events(self, week: int) -> Iterator[RawRecord]:
        """Yield what arrives in ``week`` (0 to weeks - 1): searches, interactions, and changes of products.

        Empty beyond.
        """
        yield from self._arrivals(week)

    def all_events(self) -> Iterator[RawRecord]:
        """Yield the events of all weeks, in order of arrival."""
        return itertools.chain.from_iterable(self.events(week) for week in range(self.weeks))

    def expected(self, week: int) -> Counter[tuple[str, Kind, Reason | None]]:
        """Count the records of ``week`` by topic, kind and expected reason of refusal (None: accepted)."""
        return Counter((r.topic_name, r.truth.kind, r.truth.reason) for r in self._arrivals(week))

    def purchases(self, week: int) -> list[PurchaseTruth]:
        """Return the truth of every purchase line of ``week``, repeated records once."""
        found: dict[tuple[str, str], PurchaseTruth] = {}
        for record in self._arrivals(week):
            if record.truth.action == "purchase" and record.truth.order_id is not None:
                for line in record.truth.lines:
                    one = PurchaseTruth(
                        order_id=record.truth.order_id, occurred_at=record.occurred_at, line=line
                    )
                    found.setdefault((one.order_id, line.product_id), one)
        return list(found.values())

    def qrels(self, query: str, week: int | None = None) -> dict[str, float]:
        """Return the relevant products of a query that some shopper typed, best first.

        Of an unknown text none. The catalogue is that of ``week``, by default the last one.
        """
        text = normalise_query(query)
        intents = (self._begun(earlier)[1].get(text) for earlier in range(self.weeks))
        intent = next((found for found in intents if found is not None), None)
        return (
            {} if intent is None else self._relevance.by_id(intent, self.weeks - 1 if week is None else week)
        )

    def queries(self, week: int, n: int) -> list[JudgedQuery]:
        """Return ``n`` queries, by their frequency in ``week``.

        As typed by shoppers who are not in the events. May repeat a text.
        """
        rng = Random(f"queries:{self.seed}:{week}")
        seen = {q for earlier in range(min(week, self.weeks)) for q in self._begun(earlier)[1]}
        judged = []
        for text, intent in self._shoppers.sample(week, rng, n):
            judged.append(self._judged(text, intent, week, seen=normalise_query(text) in seen))
        return judged

    def examples(self, n: int) -> list[JudgedQuery]:
        """Return up to ``n`` queries all in slang that earlier weeks taught and that name a product type.

        For before and after. Those typed most often before the last week, most first.
        """
        last, lex = self.weeks - 1, lexicon()
        typed: Counter[str] = Counter(
            r.truth.query for week in range(last) for r in self._arrivals(week) if r.truth.query
        )
        found = []
        for text, _ in sorted(typed.items(), key=lambda item: (-item[1], item[0])):
            intent = next(
                known[text] for week in range(self.weeks) if text in (known := self._begun(week)[1])
            )
            words = {word for c in intent.concepts for word in lex.words[c].slang_in(last)}
            if len(intent.concepts) > 1 and _made_of(text, words):
                found.append(self._judged(text, intent, last, seen=True))
        return found[:n]

    def _judged(self, text: str, intent: Intent, week: int, *, seen: bool) -> JudgedQuery:
        meaning = " ".join(lexicon().words[c].formal for c in sorted(intent.concepts))
        return JudgedQuery(text=text, gains=self._relevance.by_id(intent, week), seen=seen, meaning=meaning)

    def _begun(self, week: int) -> tuple[list[RawRecord], dict[str, Intent]]:
        if week not in self._visits:
            start = self.start + week * WEEK
            self._visits[week] = self._shoppers.week(week, start=start, sessions=self._sessions)
        return self._visits[week]

    def _arrivals(self, week: int) -> list[RawRecord]:
        if not 0 <= week < self.weeks:
            return []
        if week not in self._weeks:
            start, rng = self.start + week * WEEK, Random(f"dirt:{self.seed}:{week}")
            visits = itertools.chain.from_iterable(
                self._begun(begun)[0] for begun in range(max(0, week - _REACH), week + 1)
            )
            clean = transport((r for r in visits if start <= r.occurred_at < start + WEEK), rng)
            clean = sorted([*clean, *self._changes(week, start)], key=lambda r: r.arrives_at)
            # Deleted before the first event, and a week ago: intake has read of it by now.
            gone = [p.product_id for p in self.catalog if p.deleted_in == 0] if week else []
            dirt = (*EVENT_DIRT, clicks_on(gone)) if gone else EVENT_DIRT
            arrived = soil(clean, dirt, share=self._dirt, rng=rng, end=self.end)
            self._weeks[week] = [replace(r, arrives_at=min(r.arrives_at, self.end)) for r in arrived]
        return self._weeks[week]

    def _changes(self, week: int, start: datetime) -> Iterator[RawRecord]:
        rng = Random(f"changes:{self.seed}:{week}")
        for product in self.catalog if week else ():
            at = start + timedelta(seconds=rng.randrange(1, 3600))
            if product.launched_in == week:
                yield _product_record(product.message(version=1, updated_at=at), at, Truth())
            elif product.deleted_in == week:
                # Most shops send null; some cannot, and say deleted.
                message = product.message(version=2, updated_at=at).model_copy(update={"deleted": True})
                said = _product_record(message, at, Truth(kind=Kind.TOMBSTONE))
                yield said if rng.random() < 1 / 4 else _tombstone(product.product_id, at)
            elif product.alive_in(week) and rng.random() < _REPRICED:
                price = round(product.price * rng.uniform(0.8, 1.1), 2)
                yield _product_record(
                    product.message(version=1 + week, updated_at=at, price=price), at, Truth()
                )


def _product_record(message: Product, at: datetime, truth: Truth) -> RawRecord:
    key = message.product_id.encode()
    return RawRecord(
        topic_name="products", key=key, value=message.to_json(), occurred_at=at, arrives_at=at, truth=truth
    )


def _tombstone(product_id: str, at: datetime) -> RawRecord:
    truth = Truth(kind=Kind.TOMBSTONE)
    return RawRecord(
        topic_name="products", key=product_id.encode(), value=None, occurred_at=at, arrives_at=at, truth=truth
    )


def _made_of(text: str, words: set[str]) -> bool:
    """Say whether ``text`` is nothing but some of ``words``, each of which may hold spaces."""
    for word in sorted(words, key=len, reverse=True):
        text = f" {text} ".replace(f" {word} ", " ").strip()
    return not text
