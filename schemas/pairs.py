"""What was learnt from shoppers: single credits (``contributions``) and their sums (``pairs``).

Integers only. The stream counts, the trainer weighs: decay, metric and caps are chosen at training time.
"""

from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import ClassVar

from schemas.base import StreamFact
from schemas.events import Action

# (place of the ``events`` record: its offset, and from a second topic of that name on more, see
# ``stream.epochs``; index of the event in it, number of the contribution within the event)
Position = tuple[int, int, int]
# credit in thousandths, units, revenue in minor units
Counts = tuple[int, int, int]


class Contribution(StreamFact, frozen=True, kw_only=True):
    """A change of credit of one (query, product): the topic ``contributions``, partitioned by query.

    ``credit`` is in thousandths and may be negative: a refund, or a line that a late search has earned back.
    ``day`` is the event day (days since 1970-01-01 UTC) of the engagement. ``client`` is a 16-digit hash of
    the shopper. ``source`` and ``position`` say which event caused it; a replay of that event writes the same
    contribution again.
    """

    contribution_id: str
    query: str
    product_id: str
    action: Action
    day: int
    credit: int
    units: int = 0
    revenue_minor: int = 0
    client: str
    source: int
    position: Position


class ClientErasure(StreamFact, frozen=True, tag_field="kind", tag="erasure"):
    """The client has been forgotten: every pair of this partition of ``contributions`` that names it must
    drop it.

    It comes after the contributions that took back what is still remembered. What a pair holds of the client
    beyond that was earned up to ``through_day``; of which day and action, nobody knows any more. ``position``
    is that of a contribution. ``others``: hashes of the same shopper under salts of before; what all of them
    hold counts as one.
    """  # noqa: D205 (published word for word)

    kind: ClassVar[str] = "erasure"
    client: str
    through_day: int
    source: int
    position: Position
    others: tuple[str, ...] = ()


class Pair(StreamFact, frozen=True):
    """All that shoppers did with one product after one query: the topic ``pairs``, compacted, absolute.

    ``days`` maps day to action to counts; what is older than 90 days may be a sum of many under one day of
    them (ADR 0009). ``clients`` maps client hashes to their net credit in thousandths: the ``MAX_CLIENTS``
    smallest hashes, which is exact below that number and a k-minimum-values sketch above.
    ``fence`` maps a partition of ``events`` to the last position applied. ``revision`` counts writes and
    means nothing else.
    """

    query: str
    product_id: str
    days: dict[int, dict[Action, Counts]] = {}
    clients: dict[str, int] = {}
    fence: dict[int, Position] = {}
    revision: int = 0


EPOCH_DAY = date(1970, 1, 1)
LAST_CALENDAR_DAY = (date.max - EPOCH_DAY).days


def credit_of(pair: Pair) -> float:
    """Return the whole credit of a pair, of all days and actions."""
    return sum(credit for actions in pair.days.values() for credit, _, _ in actions.values()) / 1000


def day_text(day: int) -> str:
    """Return a day since 1970 as ISO writes it; one that no calendar has by its number.

    >>> day_text(20787), day_text(-1)
    ('2026-11-30', 'day -1')
    """
    return (EPOCH_DAY + timedelta(days=day)).isoformat() if 0 <= day <= LAST_CALENDAR_DAY else f"day {day}"


MAX_CLIENTS = 64
# So many days at least, back from the newest, stand by themselves. In truth more: as long as a shopper is
# remembered, its days do too.
SINGLE_DAYS = 90


@lru_cache(maxsize=20_000)
def client_of(shopper: str, salt: str = "") -> str:
    """Return the hash under which contributions and pairs know a shopper: 16 hexadecimal digits.

    Without the salt nobody can guess it.
    """
    return blake2b(shopper.encode(), digest_size=8, key=salt.encode()).hexdigest()


def pair_key(query: str, product_id: str) -> bytes:
    """Return the key of a pair on ``pairs``. Neither part can hold a tab."""
    return f"{query}\t{product_id}".encode()
