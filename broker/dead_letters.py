"""What becomes of a refused record: its bytes unchanged on ``<topic>.dlq``, and headers that say why (Kafka Connect's names)."""

import json

from broker.records import Outgoing, Record
from schemas.rejections import Rejection
from schemas.topics import dead_letter_name

ORIGIN = "dlq.origin"
REPLAYED = "dlq.replayed"
MAX_REPLAYS = 3
_OURS = ("__connect.errors.", "dlq.")


def origin_of(record: Record) -> str:
    """Return where a record first lay, as ``topic/partition/offset``: a dead letter that was sent again keeps its first place."""
    kept = record.header(ORIGIN)
    return kept.decode(errors="replace") if kept else f"{record.topic}/{record.partition}/{record.offset}"


def dead_letter(record: Record, rejection: Rejection, *, stage: str, version: str = "0.1.0") -> Outgoing:
    """Return the record to write. Headers of an earlier refusal are replaced, not added to; the original ones are kept."""
    problems = json.dumps([p.model_dump() for p in rejection.problems])[:4096]
    ours = {
        "__connect.errors.topic": record.topic,
        "__connect.errors.partition": str(record.partition),
        "__connect.errors.offset": str(record.offset),
        "__connect.errors.stage": stage,
        "__connect.errors.exception.message": "; ".join(f"{p.loc}: {p.message}" for p in rejection.problems)[:500],
        "dlq.reason": rejection.reason.value,
        "dlq.errors": problems,
        "dlq.app_version": version,
        ORIGIN: origin_of(record),
    }
    kept = tuple((k, v) for k, v in record.headers if not k.startswith(_OURS) or k == REPLAYED)
    return Outgoing(
        dead_letter_name(record.topic),
        record.value,
        key=record.key,
        headers=(*kept, *((k, v.encode()) for k, v in ours.items())),
        timestamp_ms=record.timestamp_ms if record.timestamp_ms > 0 else None,
    )


def reason_of(letter: Record) -> str:
    """Return the reason a dead letter carries."""
    return (letter.header("dlq.reason") or b"unknown").decode(errors="replace")


def origin_of_letter(letter: Record) -> str:
    """Return where the refused record first lay, as ``topic/partition/offset``."""
    kept = letter.header(ORIGIN)
    places = (letter.header(f"__connect.errors.{name}") or b"" for name in ("topic", "partition", "offset"))
    return (kept or b"/".join(places)).decode(errors="replace")


def again(letter: Record) -> Outgoing | None:
    """Return the record that goes back, with where it first lay and how often it went; None when that was often enough."""
    times = int(letter.header(REPLAYED) or b"0")
    source = (letter.header("__connect.errors.topic") or b"").decode() or letter.topic.removesuffix(".dlq")
    if times >= MAX_REPLAYS:
        return None
    kept = tuple((k, v) for k, v in letter.headers if not k.startswith(_OURS))
    ours = ((ORIGIN, origin_of_letter(letter).encode()), (REPLAYED, str(times + 1).encode()))
    return Outgoing(source, letter.value, key=letter.key, headers=(*kept, *ours))
