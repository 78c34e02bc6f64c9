"""Steps that the flows share: feed, count, ask for a run."""

import asyncio
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from commands.support.run_request import send_trigger
from embedded.supervisor import Supervisor
from schemas.pairs import Pair
from schemas.settings import Settings, StreamSettings
from schemas.training import Trigger
from tests.flows.reference import Raw, expected_pairs

_PAUSE_S = 0.15  # for some fourteen hours of events


def settings_of(stack: Supervisor, folder: Path) -> Settings:
    return Settings.load(
        {
            "SEARCHLOOP_KAFKA": stack.kafka,
            "SEARCHLOOP_MILVUS": stack.milvus,
            "SEARCHLOOP_DATA_DIR": str(folder),
        }
    )


async def feed(settings: Settings, records: Iterable[Raw]) -> None:
    async with open_producer(settings, linger_ms=5) as producer:
        outgoing = [Outgoing(settings.topic(r.topic_name), r.value, key=r.key) for r in records]
        # As a shop would, one after the other and not a month at once: what comes a week after its shopper's
        # newest event counts no more, so intake must not fall behind on one topic by a week of another
        for start in range(0, len(outgoing), 100):
            await producer.send_all(outgoing[start : start + 100])
            await asyncio.sleep(_PAUSE_S)


def counted(pair: Pair) -> tuple[object, object]:
    """What was counted, without the fence and the number of writes."""
    return {day: dict(actions) for day, actions in pair.days.items()}, dict(pair.clients)


Counts = dict[bytes, tuple[object, object]]


def counts_of(records: Iterable[Raw]) -> Counts:
    """Return what one clean pass counts, by the keys of ``pairs``."""
    return {key: counted(pair) for key, pair in expected_pairs(records, StreamSettings()).items()}


async def pairs_equal(settings: Settings, expected: Counts) -> bool:
    """Whether ``pairs`` says what one clean pass says.

    Pairs whose counts have cancelled out are as good as absent.
    """
    state = await read_compacted(settings, settings.topic("pairs"))
    found = {key: counted(Pair.from_json(r.value)) for key, r in state.records.items() if r.value}
    nothing: tuple[object, object] = ({}, {})
    return all(
        found.get(key, nothing) == expected.get(key, nothing) for key in found.keys() | expected.keys()
    )


async def ask_for_run(settings: Settings) -> str:
    """Trigger a run whose candidate is deployed whatever the verdict.

    These tests are about the loop, not the gate.
    """
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex,
        requested_at=datetime.now(UTC),
        requested_by="tests",
        force=True,
        force_reason="a test of the loop",
    )
    await send_trigger(settings, trigger)
    return trigger.trigger_id
