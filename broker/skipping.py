"""Records that an operator has told the processes to skip.

The last means against a record that ends one and that nobody foresaw. They stand in the topic ``skipped``
with who said so, when and why; a process reads it when it starts, which one that is ended does.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from broker.reading import Compacted, read_compacted
from broker.records import Outgoing
from broker.safe_decoding import SKIPPED_PLACES
from schemas.settings import Settings
from schemas.topics import SKIPPED

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Skip:
    """One order. ``topic`` is a full name, ``at`` a time in ISO 8601."""

    topic: str
    partition: int
    offset: int
    by: str
    reason: str
    at: str

    def outgoing(self, settings: Settings) -> Outgoing:
        """Return the record that gives the order."""
        key = f"{self.topic}/{self.partition}/{self.offset}"
        return Outgoing(settings.topic(SKIPPED.name), json.dumps(asdict(self)).encode(), key=key.encode())


def skip(topic: str, partition: int, offset: int, *, by: str, reason: str, now: datetime) -> Skip:
    """Return an order of now."""
    return Skip(topic, partition, offset, by, reason, now.isoformat())


async def obey_skips(settings: Settings) -> None:
    """Skip, in this process and from now on, what is told. Raises ``KafkaError``."""
    SKIPPED_PLACES.update(places_of(await read_compacted(settings, settings.topic(SKIPPED.name))))


def places_of(told: Compacted) -> set[Place]:
    """Return the places in ``skipped``; what is no order is ignored."""
    found: set[Place] = set()
    for key in told.records:
        topic, _, place = key.decode(errors="replace").rpartition("/")[0].rpartition("/")
        offset = key.rpartition(b"/")[2]
        if topic and place.isascii() and place.isdigit() and offset.isdigit() and len(key) <= 300:
            found.add((topic, int(place), int(offset)))
    return found
