"""Credit purchases to searches, by us and by three usual joins, against the truth of the simulated shop.

Its query ids are stale, missing or late, as shops' are. Offline: intake's rules and ``credit.attribution`` as
pure functions, over what arrives in order of arrival. One prediction a purchase line: the normalised query
that is credited, or none. Precision is the share of a system's credited lines whose query is the true one; a
line that no search earned makes any credit wrong. Recall is the share of the decidable lines credited to
their true query. A line is decidable when its truth is a search, a record of that search was taken in (before
or after the purchase) under the same shopper, and the search is no older than the purchase window. Nothing is
asked about the clicks and carts between them, so a decidable line may have lost all that points to its
search.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from benchmarks.exactness.usual_joins import JOINS
from benchmarks.harness.report import finish, say
from broker.records import Record
from credit.attribution import attribute
from credit.crediting import SESSION, TOUCHED, VERIFIED
from credit.shopper import Rules, Shopper
from inbound.validation import Tombstone, validate_interaction, validate_product, validate_search
from schemas.events import Action, CleanInteraction, CleanSearch
from schemas.products import CatalogProduct
from schemas.settings import StreamSettings
from simulator.shop import Shop
from simulator.shop_records import LineTruth, RawRecord
from stream.known import KnownProducts
from stream.locating import locate_interaction, locate_search
from stream.versions import Held

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = StreamSettings()
RULES = Rules.of(SETTINGS)
# About so many events come of one visit.
EVENTS_PER_VISIT = 6.6
WEEKS = 4

# (order, product): the simulated shop sells a product once an order
LineKey = tuple[str, str]


@dataclass
class AcceptedEvents:
    """What intake has taken in, and the truth about the purchase lines among it."""

    events: list[CleanSearch | CleanInteraction] = field(default_factory=list)
    truths: dict[LineKey, LineTruth] = field(default_factory=dict)
    bought: dict[LineKey, CleanInteraction] = field(default_factory=dict)
    searches: dict[str, CleanSearch] = field(default_factory=dict)


def take_in(records: Iterator[RawRecord]) -> AcceptedEvents:
    """Validate and locate all records as intake does; what is refused is gone."""
    taken, known = AcceptedEvents(), KnownProducts()
    for offset, raw in enumerate(records):
        record = Record(raw.topic_name, 0, offset, 0, raw.key, raw.value)
        if raw.topic_name == "products":
            product = validate_product(record, SETTINGS)
            if isinstance(product, CatalogProduct):
                known.put(product.product_id, Held(product.version), product.variant_ids)
            elif isinstance(product, Tombstone):
                known.remove(product.product_id)
            continue
        event = (validate_search if raw.topic_name == "searches" else validate_interaction)(
            record, END, SETTINGS
        )
        if isinstance(event, CleanSearch):
            event = locate_search(event, known)
            taken.searches.setdefault(event.query_id, event)
        elif isinstance(event, CleanInteraction):
            event = locate_interaction(event, known)
        if not isinstance(event, CleanSearch | CleanInteraction):
            continue
        taken.events.append(event)
        if isinstance(event, CleanInteraction) and event.action is Action.PURCHASE:
            left = {line.product_id for line in event.lines}
            for truth in raw.truth.lines:
                if truth.product_id in left:
                    key = (event.order_id or "", truth.product_id)
                    taken.truths.setdefault(key, truth)
                    taken.bought.setdefault(key, event)
    return taken


def is_decidable(key: LineKey, taken: AcceptedEvents) -> bool:
    """Say whether a line's true search is there to be found: see the module's docstring."""
    purchase, truth = taken.bought[key], taken.truths[key]
    search = taken.searches.get(truth.query_id or "")
    if search is None or search.shopper != purchase.shopper:
        return False
    return timedelta(0) <= timedelta(milliseconds=purchase.at_ms - search.at_ms) <= SETTINGS.purchase_window


def ours(taken: AcceptedEvents) -> tuple[dict[LineKey, str], dict[LineKey, int]]:
    """Return the credited query of every line as it stands in the end, and its credit in thousandths."""
    states: dict[str, Shopper] = {}
    queries: dict[LineKey, str] = {}
    rates: dict[LineKey, int] = {}
    for offset, event in enumerate(taken.events):
        state, _ = attribute(states.get(event.shopper) or Shopper(), event, 0, (offset, 0), RULES)
        states[event.shopper] = state
        for line in state.lines.values():
            key = (line.order_id, line.product)
            if line.credit is None:
                queries.pop(key, None)
                rates.pop(key, None)
            else:
                queries[key], rates[key] = line.credit.query, line.credit.rate
    return queries, rates


def score(credited: dict[LineKey, str], taken: AcceptedEvents) -> dict[str, float]:
    """Return precision and recall of one system."""
    right = {key for key, query in credited.items() if query == taken.truths[key].query}
    decidable = {key for key in taken.truths if is_decidable(key, taken)}
    return {
        "precision": round(len(right) / max(1, len(credited)), 4),
        "recall": round(len(right & decidable) / max(1, len(decidable)), 4),
    }


def confusion(credited: dict[LineKey, str], rates: dict[LineKey, int], taken: AcceptedEvents) -> Counter[str]:
    """Count the lines that are credited wrongly or not at all, by cause."""
    rules = {VERIFIED: "named search or cart", TOUCHED: "click", SESSION: "shown"}
    causes: Counter[str] = Counter()
    for key, truth in taken.truths.items():
        query = credited.get(key)
        if query == truth.query:
            continue
        if truth.query is None:
            why = "no search earned it"
        elif truth.query_id not in taken.searches:
            why = "its search never arrived"
        else:
            why = "its search is there" if is_decidable(key, taken) else "its search is too old"
        causes[f"{why}; credited by {rules[rates[key]]}" if query else f"{why}; not credited"] += 1
    return causes


def measure(seed: int, events: int, *, lost: float = 0.0) -> dict[str, Any]:
    """Run one seed.

    ``lost``: share of searches and interactions that vanish beyond those the simulator loses.
    """
    rng = Random(seed)
    visits = max(20, round(events / WEEKS / EVENTS_PER_VISIT))
    shop = Shop(seed, end=END, products=1500, shoppers=max(50, visits), weeks=WEEKS, sessions_per_week=visits)
    arrived = (
        r
        for part in (shop.products(), shop.all_events())
        for r in part
        if r.topic_name == "products" or rng.random() >= lost
    )
    taken = take_in(arrived)
    credited, rates = ours(taken)
    systems = {"ours": credited, **{name: join(taken.events) for name, join in JOINS.items()}}
    scores = {name: score(lines, taken) for name, lines in systems.items()}
    return {
        "events": len(taken.events),
        "lines": len(taken.truths),
        "decidable": sum(is_decidable(key, taken) for key in taken.truths),
        "precision": {name: s["precision"] for name, s in scores.items()},
        "recall": {name: s["recall"] for name, s in scores.items()},
        "confusion": dict(confusion(credited, rates, taken).most_common()),
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=25_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lost", type=float, default=0.1, help="share of events lost in the second, harder run"
    )
    args = parser.parse_args()
    started = time.monotonic()
    found, harder = measure(args.seed, args.events), measure(args.seed, args.events, lost=args.lost)
    for run in (found, harder):
        say(f"confusion: {run['confusion']}")
    ahead = all(found[m]["ours"] > found[m][name] for m in ("precision", "recall") for name in JOINS)
    ok = found["precision"]["ours"] >= 0.98 and found["recall"]["ours"] >= 0.95 and ahead
    return finish(
        "attribution",
        seed=args.seed,
        started=started,
        ok=ok,
        **found,
        with_more_lost={"lost": args.lost, **harder},
    )


if __name__ == "__main__":
    raise SystemExit(main())
