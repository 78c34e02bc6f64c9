"""Plant faults among good records, and count what is refused for the right reason and what wrongly.

Offline and pure: no server, no clock. Good records are those of the simulated shop, of which some take the
unusual forms that shops are free to use; faults are ``benchmarks.intake.planted_faults``. A reason is right
only if the refusal also points to the damaged field. At the end, records with random bytes changed: whatever
comes of them, nothing may be raised.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from benchmarks.harness.report import finish, say
from benchmarks.intake.damage import Fault, SentRecord, text_of
from benchmarks.intake.planted_faults import FAULTS
from benchmarks.intake.unusual import NOW, Good, unusual
from broker.records import Record
from inbound.validation import validate_erasure, validate_interaction, validate_product, validate_search
from schemas.events import CleanInteraction
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from simulator.shop import Shop
from stream.known import KnownProducts
from stream.locating import locate_interaction
from stream.versions import Held

SETTINGS = StreamSettings()


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the mixture; ``fault`` None is a good one."""

    topic: str
    sent: SentRecord
    fault: Fault | None


def good_records(shop: Shop) -> Iterator[Good]:
    """Yield what a shop without dirt sends, tombstones apart.

    To every search the wish to forget who searched.
    """
    for record in [*shop.products(), *shop.all_events()]:
        if record.value is not None:
            body = json.loads(record.value)
            yield Good(record.topic_name, SentRecord(record.key, record.value), body, record.truth.action)
            if record.topic_name == "searches":
                wish = {
                    name: body[name]
                    for name in ("event_id", "timestamp", "client_id", "session_id")
                    if name in body
                }
                yield Good("erasures", SentRecord(record.key, text_of(wish)), wish, None)


def mixture(goods: Sequence[Good], per_kind: int, rng: Random) -> list[Entry]:
    """Return all good records, a third of them in an unusual form, and ``per_kind`` of every fault.

    Shuffled.
    """
    entries = [Entry(g.topic, unusual(g, rng) if rng.random() < 1 / 3 else g.sent, None) for g in goods]
    for fault in FAULTS:
        fits = [g for g in goods if g.topic == fault.topic and fault.action in {None, g.action}]
        chosen = rng.choices(fits, k=per_kind)
        entries += [Entry(fault.topic, fault.plant(good.sent, good.body, rng, NOW), fault) for good in chosen]
    rng.shuffle(entries)
    return entries


def judge(entry: Entry, offset: int, known: KnownProducts) -> object:
    """Do with a record what intake does before it writes."""
    sent = entry.sent
    record = Record(entry.topic, 0, offset, 0, sent.key, sent.value, sent.headers)
    if entry.topic == "products":
        return validate_product(record, SETTINGS)
    if entry.topic == "erasures":
        return validate_erasure(record, NOW, SETTINGS)
    if entry.topic == "searches":
        return validate_search(record, NOW, SETTINGS)
    outcome = validate_interaction(record, NOW, SETTINGS)
    return locate_interaction(outcome, known) if isinstance(outcome, CleanInteraction) else outcome


def is_right(rejection: Rejection, fault: Fault) -> bool:
    """Say whether a refusal has the reason of the fault, and points to the field."""
    places = [p.loc for p in rejection.problems]
    return rejection.reason is fault.reason and (
        fault.at is None or any(f"{p}.".startswith(f"{fault.at}.") for p in places)
    )


def fuzzed(goods: Sequence[Good], count: int, rng: Random) -> Iterator[Entry]:
    """Yield good records with one to eight random bytes changed, inserted or dropped."""
    for good in rng.choices(goods, k=count):
        value = bytearray(good.sent.value or b"")
        for _ in range(rng.randrange(1, 9)):
            at = rng.randrange(len(value))
            value[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        yield Entry(good.topic, replace(good.sent, value=bytes(value)), None)


def measure(seed: int, per_kind: int, *, sessions: int, fuzz: int) -> dict[str, Any]:
    """Run the benchmark; return its fields."""
    rng = Random(seed)
    shop = Shop(
        seed, end=NOW, products=400, shoppers=300, weeks=2, sessions_per_week=sessions, dirt_share=0.0
    )
    goods = list(good_records(shop))
    known = KnownProducts()
    for product in shop.catalog:
        known.put(product.product_id, Held(1), [])
    counts: Counter[str] = Counter()
    slipped: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    entries = mixture(goods, per_kind, rng)
    for offset, entry in enumerate(entries):
        outcome = judge(entry, offset, known)
        if entry.fault is None:
            counts["clean"] += 1
            if isinstance(outcome, Rejection):
                counts["clean_refused"] += 1
                refused[
                    f"{entry.topic}: {outcome.reason.value} {[(p.loc, p.type) for p in outcome.problems][:2]}"
                ] += 1
            continue
        counts["planted"] += 1
        name = f"{entry.topic}: {entry.fault.name}"
        if not isinstance(outcome, Rejection):
            slipped[name] += 1
            continue
        counts["caught"] += 1
        if is_right(outcome, entry.fault):
            counts["right_reason"] += 1
        else:
            wrong[f"{name} -> {outcome.reason.value} {[(p.loc, p.type) for p in outcome.problems][:2]}"] += 1
    outcomes = Counter(type(judge(e, n, known)).__name__ for n, e in enumerate(fuzzed(goods, fuzz, rng)))
    totals = {name: counts[name] for name in ("planted", "caught", "right_reason", "clean", "clean_refused")}
    details = {
        "slipped": dict(slipped),
        "wrong_reason": dict(wrong),
        "refused": dict(refused),
        "fuzzed": dict(outcomes),
    }
    return {"kinds": len(FAULTS), "per_kind": per_kind, **totals, **details}


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-kind", type=int, default=100)
    parser.add_argument(
        "--sessions", type=int, default=1000, help="visits a week of the shop whose records are the good ones"
    )
    parser.add_argument("--fuzz", type=int, default=20_000)
    args = parser.parse_args()
    started = time.monotonic()
    found = measure(args.seed, args.per_kind, sessions=args.sessions, fuzz=args.fuzz)
    for part in ("slipped", "wrong_reason", "refused"):
        for name, times in found[part].items():
            say(f"{part}: {name}: {times}")
    ok = found["caught"] == found["right_reason"] == found["planted"] and found["clean_refused"] == 0
    return finish("validation", seed=args.seed, started=started, ok=ok, **found)


if __name__ == "__main__":
    raise SystemExit(main())
