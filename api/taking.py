"""Take records in: judged one by one, written together, and told of once the broker has them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from api.bodies import Capacity, HttpFault, Place
from api.judging import RecordJudge, Verdict
from api.lasting import LastingProducer
from api.metrics import RECORDS
from api.posted import Posted
from broker.errors import BrokerError
from broker.records import Outgoing
from schemas.http import RecordsAnswer
from schemas.settings import ApiSettings

# How long a request waits for the broker. What it then has, nobody knows.
WRITE_S = 10.0
# After so long others get their turn: a record of long texts takes some of it alone.
_TURN_S = 0.01


class Taking:
    """Judges and writes. ``broker_fault`` says in words why Kafka is not there."""

    def __init__(
        self,
        settings: ApiSettings,
        producer: LastingProducer,
        capacity: Capacity,
        broker_fault: Callable[[], str | None],
    ) -> None:
        self.capacity = capacity
        self._settings = settings
        self._producer = producer
        self._broker_fault = broker_fault

    def judge(self) -> RecordJudge:
        """Return the judge of one request, with its clock."""
        return RecordJudge(self._settings, self._settings.topic, datetime.now(UTC))

    async def take(
        self, found: Sequence[Posted], judge: Callable[[int, Posted], Verdict], place: Place, *, write: bool
    ) -> RecordsAnswer | HttpFault:
        """Judge records and, if they are to be written, write the good ones.

        The place is kept until the broker has them, or never will.
        """
        verdicts: list[Verdict] = []
        began = time.perf_counter()
        for index, posted in enumerate(found):
            verdicts.append(judge(index, posted))
            if time.perf_counter() - began > _TURN_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
        return await self.conclude(verdicts, place, write=write)

    async def conclude(
        self, verdicts: Sequence[Verdict], place: Place, *, write: bool
    ) -> RecordsAnswer | HttpFault:
        """Write what the verdicts say, and return what became of each."""
        records = [record for verdict in verdicts for record in verdict.records]
        if write and records and (fault := await self.write(records, place)) is not None:
            return fault
        ends = Counter((verdict.result.status, verdict.result.reason or "") for verdict in verdicts)
        counts = Counter[str]()
        for (status, reason), count in ends.items():
            counts[status] += count
            if write:
                RECORDS.labels(status, reason).inc(count)
        return RecordsAnswer(
            accepted=counts["accepted"],
            refused=counts["refused"],
            ignored=counts["ignored"],
            results=[verdict.result for verdict in verdicts],
        )

    async def write(self, records: Sequence[Outgoing], place: Place) -> HttpFault | None:
        """Write records; None once the broker has them. The place is kept until it has, or never will."""
        if (fault := self._broker_fault()) is not None:
            return HttpFault(503, "unavailable", fault, 1000)
        writing = asyncio.create_task(self._producer.send_all(records))
        held = place.handed_on()

        def ended(task: asyncio.Task[None]) -> None:
            held.leave()
            if not task.cancelled():
                task.exception()  # nobody may wait for it any more, and that is no news

        writing.add_done_callback(ended)
        done, _ = await asyncio.wait({writing}, timeout=WRITE_S)
        if not done:
            late = f"Kafka has not acknowledged the records within {WRITE_S:g} s"
            return _again(late)
        error = writing.exception()
        if isinstance(error, BrokerError):
            return _again(f"Kafka did not take the records ({type(error).__name__})")
        writing.result()
        return None


def _again(what: str) -> HttpFault:
    return HttpFault(
        503,
        "unavailable",
        f"{what}; some may be written: send all of them again, what has an event_id counts once",
        1000,
    )
