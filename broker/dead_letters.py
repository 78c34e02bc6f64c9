"""What becomes of a refused record.

Its bytes unchanged on ``<topic>.dlq``, and headers that say why (Kafka Connect's names). Anybody may write to
a raw topic, so of a record nothing is believed: its ``dlq.`` headers count only where they can be true, and
what is too large for a letter is cut, with the size and the SHA-256 of what it was. Every record has a letter
that can be written.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from broker.records import Outgoing, Record, bytes_of
from schemas.rejections import Problem, Rejection
from schemas.topics import dead_letter_name

ORIGIN = "dlq.origin"
REPLAYED = "dlq.replayed"
ORIGINAL_BYTES = "dlq.original_bytes"
ORIGINAL_SHA256 = "dlq.original_sha256"
MAX_REPLAYS = 3
# A letter holds at most this much of its original: room for every record that is taken
# (``max_record_bytes``), below every broker's bound.
MAX_LETTER_BYTES = 2 << 20
_CUT_VALUE_BYTES = 1 << 20
_CUT_KEY_BYTES = 1024
_MAX_ERRORS_CHARS = 4096
_OURS = ("__connect.errors.", "dlq.")


def origin_of(record: Record) -> str:
    """Return where a record first lay, as ``topic/partition/offset``.

    A dead letter that was sent again keeps its first place. A header that cannot be true (another topic, no
    numbers, a place not yet written) is a producer's invention and does not count.
    """
    here = f"{record.topic}/{record.partition}/{record.offset}"
    kept = record.header(ORIGIN)
    if kept is None or len(kept) > len(record.topic) + 40:
        return here
    topic, _, place = kept.decode(errors="replace").rpartition("/")[0].rpartition("/")
    partition, offset = _number(place), _number(kept.rpartition(b"/")[2])
    believed = topic == record.topic and partition is not None and offset is not None
    if not believed or (partition == record.partition and (offset or 0) >= record.offset):
        return here
    return f"{topic}/{partition}/{offset}"


def dead_letter(record: Record, rejection: Rejection, *, stage: str, version: str = "0.1.0") -> Outgoing:
    """Return the record to write.

    Headers of an earlier refusal are replaced, not added to; the original ones are kept. Of a record above
    ``MAX_LETTER_BYTES`` the beginning of its value and key are kept, and no header of its producer.
    """
    times = replays_of(record)
    ours = {
        "__connect.errors.topic": record.topic,
        "__connect.errors.partition": str(record.partition),
        "__connect.errors.offset": str(record.offset),
        "__connect.errors.stage": stage,
        "__connect.errors.exception.message": "; ".join(f"{p.loc}: {p.message}" for p in rejection.problems)[
            :500
        ],
        "dlq.reason": rejection.reason.value,
        "dlq.errors": _fitting(rejection.problems),
        "dlq.app_version": version,
        ORIGIN: origin_of(record),
        **({REPLAYED: str(times)} if times else {}),
    }
    kept = tuple((k, v) for k, v in record.headers if not k.startswith(_OURS))
    letter = Outgoing(
        dead_letter_name(record.topic),
        record.value,
        key=record.key,
        headers=(*kept, *((k, v.encode(errors="backslashreplace")) for k, v in ours.items())),
        timestamp_ms=record.timestamp_ms if record.timestamp_ms > 0 else None,
    )
    return letter if bytes_of(record) <= MAX_LETTER_BYTES else cut(letter, value_bytes=_CUT_VALUE_BYTES)


def _fitting(problems: Sequence[Problem]) -> str:
    """Return the first problems as JSON, as many as have room.

    Of a first one that has none by itself, the beginning of its words.
    """
    told = [p.model_dump() for p in problems]
    while len(text := json.dumps(told)) > _MAX_ERRORS_CHARS:
        told = told[:-1] or [{name: words[: len(words) // 2] for name, words in told[0].items()}]
    return text


def cut(letter: Outgoing, *, value_bytes: int = 0) -> Outgoing:
    """Return a letter with the beginning of its value and without its producer's headers.

    By default with nothing of the value.
    """
    facts = {
        ORIGINAL_BYTES: str(len(letter.value or b"")),
        ORIGINAL_SHA256: sha256(letter.value or b"").hexdigest(),
    }
    ours = {k: v for k, v in letter.headers if k.startswith(_OURS)}
    return replace(
        letter,
        value=None if letter.value is None else letter.value[:value_bytes],
        key=None if letter.key is None else letter.key[:_CUT_KEY_BYTES],
        # One that was cut before keeps its first facts
        headers=tuple({**{k: v.encode() for k, v in facts.items()}, **ours}.items()),
    )


def is_cut(letter: Record) -> bool:
    """Say whether a letter holds only a part of what was refused."""
    return letter.header(ORIGINAL_SHA256) is not None


def reason_of(letter: Record) -> str:
    """Return the reason a dead letter carries."""
    return (letter.header("dlq.reason") or b"unknown").decode(errors="replace")


def origin_of_letter(letter: Record) -> str:
    """Return where the refused record first lay, as ``topic/partition/offset``."""
    kept = letter.header(ORIGIN)
    places = (letter.header(f"__connect.errors.{name}") or b"" for name in ("topic", "partition", "offset"))
    return (kept or b"/".join(places)).decode(errors="replace")


def identity_of_letter(letter: Record) -> tuple[str, bytes]:
    """Return what two letters share when one is that of a replay of the other.

    The first place, and the bytes that lay there. Anybody can claim the place of another's record; with other
    bytes that makes no letter of it.
    """
    digest = sha256(b"%d " % len(letter.key or b"") + (letter.key or b"") + (letter.value or b""))
    return origin_of_letter(letter), digest.digest()


def replays_of(record: Record) -> int:
    """Return how often a record or letter was sent again; 0 for what no replay wrote."""
    return min(_number(record.header(REPLAYED) or b"") or 0, MAX_REPLAYS)


def again(letter: Record) -> Outgoing | None:
    """Return the record that goes back, with where it first lay and how often it went.

    None when that was often enough, or it was cut. It goes to the topic whose dead letters these are,
    whatever the letter says of itself.
    """
    times = replays_of(letter)
    if times >= MAX_REPLAYS or is_cut(letter):
        return None
    kept = tuple((k, v) for k, v in letter.headers if not k.startswith(_OURS))
    ours = ((ORIGIN, origin_of_letter(letter).encode()), (REPLAYED, str(times + 1).encode()))
    return Outgoing(
        letter.topic.removesuffix(dead_letter_name("")), letter.value, key=letter.key, headers=(*kept, *ours)
    )


def _number(text: str | bytes) -> int | None:
    """Return a number as the broker's 64 bits write one, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
