"""What came of a chaos run, judged from the topics alone.

Are the pairs the same bytes, and is every raw record accounted for once?
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import convert
from msgspec.structs import replace

from benchmarks.exactness.reference import reference
from broker.reading import open_reader, read_compacted
from broker.records import Record
from schemas.batches import unpack
from schemas.pairs import MAX_CLIENTS, Pair, pair_key
from schemas.settings import Settings
from schemas.topics import dead_letter_name
from simulator.shop_records import RawRecord
from stream.aggregation import canonical

Pairs = dict[bytes, Pair]


async def read_learnt(settings: Settings) -> Pairs:
    """Return the pairs on the topic that hold something."""
    state = await read_compacted(settings, settings.topic("pairs"))
    pairs = {key: Pair.from_json(r.value) for key, r in state.records.items() if r.value}
    return {key: pair for key, pair in pairs.items() if pair.days}


def expected(facts: Iterable[RawRecord]) -> Pairs:
    """Return the pairs of the reference."""
    days, clients = reference(facts)
    # by construction the same as a parsed pair: actions are strings on the wire
    return {
        pair_key(*k): convert(
            {"query": k[0], "product_id": k[1], "days": d, "clients": clients.get(k, {})}, Pair
        )
        for k, d in days.items()
    }


def bare(pair: Pair, *, sketched: bool) -> bytes:
    """Return the bytes of a pair without its fence and revision, which say how it was written.

    Of a sketch of clients only the counts.
    """
    return canonical(replace(pair, fence={}, revision=0, clients={} if sketched else pair.clients))


@dataclass(frozen=True)
class PairsDifference:
    """How pairs differ from what is right.

    ``lost`` and ``double`` in thousandths of a credit, over pairs, days and actions.
    """

    pairs: int
    lost: int
    double: int
    examples: list[str]


def compare(found: Pairs, right: Pairs) -> PairsDifference:
    """Compare byte for byte.

    Pairs with more clients than a pair holds exactly are compared by their counts.
    """
    lost = double = 0
    wrong: list[bytes] = []
    for key in sorted(found.keys() | right.keys()):
        a, b = found.get(key), right.get(key)
        sketched = b is not None and len(b.clients) >= MAX_CLIENTS
        if a is None or b is None or bare(a, sketched=sketched) != bare(b, sketched=sketched):
            wrong.append(key)
        credits_found, credits_right = _credits(a), _credits(b)
        lost += (credits_right - credits_found).total()
        double += (credits_found - credits_right).total()
    return PairsDifference(
        len(wrong), lost, double, [f"{k!r}: found {found.get(k)} right {right.get(k)}" for k in wrong[:3]]
    )


def _credits(pair: Pair | None) -> Counter[tuple[int, str]]:
    rows = pair.days.items() if pair else ()
    return Counter({(day, action.value): counts[0] for day, row in rows for action, counts in row.items()})


async def unaccounted(settings: Settings, sent: Iterable[RawRecord]) -> dict[str, int]:
    """Return what breaks the conservation law, by kind; empty when all holds.

    Every raw record must be on ``events`` under its id, or a dead letter under its place and for the right
    reason: one of both.
    """
    truths = {(r.topic_name, r.value): r.truth for r in sent}
    faults: Counter[str] = Counter()
    accepted = {
        json.loads(fact)["event_id"]
        for record in await _all(settings, "events")
        for _, fact in unpack(record.value or b"")
    }
    for name in ("searches", "interactions"):
        letters: dict[tuple[int, int], set[str]] = {}
        for letter in await _all(settings, dead_letter_name(name)):
            place = (
                int(letter.header("__connect.errors.partition") or -1),
                int(letter.header("__connect.errors.offset") or -1),
            )
            letters.setdefault(place, set()).add((letter.header("dlq.reason") or b"").decode())
        records = await _all(settings, name)
        faults["letters of nothing"] += len(letters.keys() - {(r.partition, r.offset) for r in records})
        faults["not on the topic"] += sum(
            key[0] == name for key in truths.keys() - {(name, r.value) for r in records}
        )
        for r in records:
            faults[
                _judge(r, truths[name, r.value].reason, letters.get((r.partition, r.offset)), accepted)
            ] += 1
    del faults["accounted"]
    return dict(+faults)


def _judge(record: Record, reason: str | None, letters: set[str] | None, accepted: set[str]) -> str:
    if reason is not None:
        if letters is None:
            return "refused without a letter"
        return "accounted" if letters == {str(reason)} else "refused for another reason"
    if letters is not None:
        return "good but refused"
    return "accounted" if json.loads(record.value or b"")["event_id"] in accepted else "good but nowhere"


async def _all(settings: Settings, topic: str) -> list[Record]:
    async with open_reader(settings, [settings.topic(topic)]) as reader:
        return [record async for record in reader.until(await reader.end_offsets())]


def rebalances(broker_logs: Iterable[Path], groups: Iterable[str]) -> Mapping[str, int]:
    """Count per group how often the broker has formed it anew."""
    text = "".join(log.read_text(errors="replace") for log in broker_logs if log.exists())
    return {group: text.count(f"Stabilized group {group} ") for group in groups}
