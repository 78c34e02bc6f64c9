"""Workers of this version and of the one before in one group, killed in turn, count every event once.

``SEARCHLOOP_TEST_PREVIOUS`` names a checkout of the version before; without it this is skipped, and
``tests/contracts/test_one_group.py`` alone says that they can.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.producing import open_producer
from broker.topics import ensure_topics
from schemas.settings import StreamSettings
from tests.processes import SearchloopProcess
from tests.stream.shop import engagements, expected, outgoing, products
from tests.stream.stream_process import pairs_of

CURRENT = Path(__file__).parents[2]
PREVIOUS = os.environ.get("SEARCHLOOP_TEST_PREVIOUS", "")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PREVIOUS, reason="SEARCHLOOP_TEST_PREVIOUS names no checkout"),
]


def worker(checkout: Path, settings: StreamSettings) -> SearchloopProcess:
    # What is installed is this version; the folder it is begun in comes first
    command = ["env", "-C", str(checkout), f"PYTHONPATH={checkout}", sys.executable, "-m", "stream"]
    return SearchloopProcess("stream", settings.environ(), command=command)


async def test_both_count_together_and_after_one_another(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    ours, theirs = (
        StreamSettings(
            kafka=kafka,
            topic_prefix=topic_prefix,
            data_dir=tmp_path / name,
            partitions=4,
            broker_session_timeout_s=6.0,
        )
        for name in ("ours", "theirs")
    )
    now = datetime.now(UTC)
    raw = engagements(200, 20, until_ms=int(now.timestamp() * 1000))
    raw.sort(key=lambda one: one[2]["timestamp"])
    third = len(raw) // 3
    await ensure_topics(ours)
    with (
        worker(CURRENT, ours) as new,
        worker(Path(PREVIOUS), theirs) as old,
    ):
        for process in (new, old):
            process.start()
            await process.shows(lambda page: page["ready"])

        async def counted(upto: int, by: SearchloopProcess) -> None:
            async with open_producer(ours) as producer:
                await producer.send_all(
                    (outgoing(products(20), ours) if upto == third else [])
                    + outgoing(raw[upto - third : upto], ours)
                )
            wanted = expected(raw[:upto], now)

            async def all_counted() -> bool:
                return await pairs_of(ours) == wanted

            await by.until(all_counted, f"{upto} records are counted")

        await counted(third, new)
        new.kill()
        await counted(2 * third, old)
        new.start()
        await new.shows(lambda page: page["ready"])
        old.kill()
        await counted(3 * third, new)
