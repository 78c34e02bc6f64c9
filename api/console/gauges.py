"""How fast records come and how far the stream is behind: measured while somebody looks, and only then."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from broker.errors import BrokerError
from broker.group_lag import LagReader, open_lag_reader
from schemas.settings import Settings
from schemas.stream_groups import intake_group, learn_group
from schemas.topics import (
    CONTRIBUTIONS,
    ERASURES,
    EVENTS,
    INTERACTIONS,
    PRODUCTS,
    SEARCHES,
    WITH_DEAD_LETTERS,
)

log = structlog.get_logger(__name__)
EVERY_S = 2.0
# Rates are over so many looks; who does not ask for so long does not look.
_LOOKS = 6
_LOOKED_AT_S = 20.0


@dataclass(frozen=True)
class Look:
    """One look: ``written`` records by topic since it was made, ``behind`` by step; names without prefix."""

    at_s: float
    written: Mapping[str, int]
    behind: Mapping[str, int]


class TopicGauges:
    """Run ``run`` as one task; ``watched`` says that somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looks: deque[Look] = deque(maxlen=_LOOKS)
        self._until_s = 0.0
        self._wanted = asyncio.Event()

    def watched(self) -> None:
        """Measure for some seconds more."""
        self._until_s = time.monotonic() + _LOOKED_AT_S
        self._wanted.set()

    def per_s(self, topic: str) -> float | None:
        """Return the records written to a topic in a second; None before there were two looks."""
        if len(self._looks) < 2:
            return None
        first, last = self._looks[0], self._looks[-1]
        return (last.written.get(topic, 0) - first.written.get(topic, 0)) / (last.at_s - first.at_s)

    def written(self, topic: str) -> int | None:
        """Return the records that a topic has had since it was made."""
        return self._looks[-1].written.get(topic) if self._looks else None

    def behind(self, step: str) -> int | None:
        """Return how many records a step of the stream has still to process."""
        return self._looks[-1].behind.get(step) if self._looks else None

    async def run(self) -> None:
        """Measure while somebody looks, until cancelled. A broker that is away is asked again."""
        while True:
            await self._wanted.wait()
            try:
                async with open_lag_reader(self._settings) as reader:
                    while time.monotonic() < self._until_s:
                        await self._look(reader)
                        await asyncio.sleep(EVERY_S)
            except BrokerError as error:
                log.warning("rates are not measured", reason=str(error))
                await asyncio.sleep(EVERY_S)
            self._looks.clear()
            if time.monotonic() >= self._until_s:
                self._wanted.clear()

    async def _look(self, reader: LagReader) -> None:
        prefixed = {self._settings.topic(topic.name): topic.name for topic in WITH_DEAD_LETTERS}
        found = await reader.written(list(prefixed))
        if found is None:
            return
        events = (SEARCHES.name, INTERACTIONS.name, ERASURES.name)
        steps = (
            ("intake", intake_group(self._settings, "events"), events),
            ("intake", intake_group(self._settings, "products"), (PRODUCTS.name,)),
            ("attribute", learn_group(self._settings), (EVENTS.name,)),
            ("count", learn_group(self._settings), (CONTRIBUTIONS.name,)),
        )
        behind: dict[str, int] = {}
        for step, group, names in steps:
            lag = await reader.lag(group, [self._settings.topic(name) for name in names])
            if lag is not None:
                behind[step] = behind.get(step, 0) + sum(lag.values())
        written = {name: found.get(topic, 0) for topic, name in prefixed.items()}
        self._looks.append(Look(time.monotonic(), written, behind))
