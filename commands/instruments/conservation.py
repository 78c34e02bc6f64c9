"""The conservation law, seen from outside.

Every record sent was accepted, refused with a reason, or ignored and counted.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from broker.dead_letters import reason_of
from broker.producing import Producer
from broker.reading import open_reader
from broker.records import Outgoing
from commands.support.letters import read_letters
from commands.support.pages import read_page
from commands.support.patience import Patience
from schemas.settings import Settings

_CHUNK = 1000


class Raw(Protocol):
    """A raw record of a producer: which topic (short name), key and bytes (None deletes)."""

    @property
    def topic_name(self) -> str:
        """The topic, without prefix."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The bytes."""


@dataclass
class Accounts:
    """What was sent, and what intake says became of it."""

    sent: int = 0
    accepted: int = 0
    ignored: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def balanced(self) -> bool:
        """Whether nothing was lost and nothing invented."""
        return self.sent == self.accepted + self.refused.total() + self.ignored

    def facts(self) -> dict[str, object]:
        """Return the figures for a report."""
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "refused": dict(self.refused),
            "ignored": self.ignored,
        }

    async def send(self, producer: Producer, settings: Settings, records: Iterable[Raw]) -> None:
        """Send raw records in order and count them."""
        chunk: list[Outgoing] = []
        for record in records:
            chunk.append(Outgoing(settings.topic(record.topic_name), record.value, key=record.key))
            if len(chunk) == _CHUNK:
                await producer.send_all(chunk)
                self.sent += len(chunk)
                chunk = []
        await producer.send_all(chunk)
        self.sent += len(chunk)


async def settled(
    settings: Settings, accounts: Accounts, *, quiet_s: float = 180.0, rest_s: float = 2.5
) -> None:
    """Wait until intake accounts for every record sent and the pairs have rested for ``rest_s``.

    Raises ``StuckError`` when intake has moved nothing for ``quiet_s``.

    Refusals are counted from the dead letters themselves; accepted and ignored are intake's own counters
    since its start.
    """
    patience = Patience(
        "intake",
        f"{accounts.sent} records sent to be accepted, refused or ignored",
        quiet_s=quiet_s,
        advice="`searchloop status` and the log of stream say what holds it up.",
    )
    while True:
        page = await asyncio.to_thread(read_page, settings, "stream", "readyz")
        counts: dict[str, dict[str, int]] = page.get("intake") or {}  # type: ignore[assignment]
        accounts.accepted, accounts.ignored = (
            sum(c[outcome] for c in counts.values()) for outcome in ("accepted", "ignored")
        )
        accounts.refused = Counter(
            reason_of(r)
            for r in await read_letters(settings, topic=None, reason=None, since=None, until=None)
        )
        if accounts.accepted + accounts.ignored + accounts.refused.total() >= accounts.sent:
            break
        patience.saw(accounts.facts())
        await asyncio.sleep(0.5)
    topics = [settings.topic(t) for t in ("events", "contributions", "pairs")]
    async with open_reader(settings, topics, start="end") as reader:
        last, since = await reader.end_offsets(), time.monotonic()
        while time.monotonic() - since < rest_s:
            await asyncio.sleep(0.3)
            now = await reader.end_offsets()
            if now != last:
                last, since = now, time.monotonic()
