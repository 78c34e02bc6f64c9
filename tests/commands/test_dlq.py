"""``dlq replay`` and ``dlq skip`` on a real broker."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.consuming import open_group
from broker.dead_letters import REPLAYED, dead_letter
from broker.producing import open_producer
from broker.reading import Compacted
from broker.records import Outgoing, Record
from broker.skipping import obey_skips, places_of, skip
from broker.topics import ensure_topics
from commands.dlq import replay_letters, skip_record
from schemas.rejections import Reason, Rejection
from schemas.settings import Settings
from tests.topics import read_all


@pytest.fixture
def settings(kafka: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in (
        ("KAFKA", kafka),
        ("TOPIC_PREFIX", topic_prefix),
        ("PARTITIONS", "1"),
        ("DATA_DIR", str(tmp_path)),
    ):
        monkeypatch.setenv(f"SEARCHLOOP_{name}", value)
    return Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=1, data_dir=tmp_path)


async def read(settings: Settings, topic: str) -> list[Record]:
    return await read_all(settings.kafka, settings.topic(topic))


def replay(topic: str | None) -> None:
    replay_letters(
        topic=topic,
        refused_for=None,
        since_hours=None,
        until_hours=None,
        limit=100,
        dry_run=False,
        data_dir=None,
        as_json=True,
    )


@pytest.mark.broker
async def test_a_replay_writes_to_raw_topics_only_and_reads_any_header(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ensure_topics(settings)
    refused = Rejection(reason=Reason.SCHEMA)
    letters = [
        dead_letter(Record(settings.topic(t), 0, n, 0, None, b"%d" % n), refused, stage="t")
        for n, t in enumerate(("searches", "training-triggers"))
    ]
    forged = Outgoing(
        settings.topic("searches.dlq"),
        b"x",
        headers=((REPLAYED, b"abc"), ("__connect.errors.topic", settings.topic("pairs").encode())),
    )
    async with open_producer(settings) as producer:
        await producer.send_all([*letters, forged, Outgoing(settings.topic("searches.dlq"), None)])
    await asyncio.to_thread(lambda: replay(None))
    assert json.loads(capsys.readouterr().out)["replayed"] == 3
    assert [r.value for r in await read(settings, "searches")] == [b"0", b"x", None]
    assert await read(settings, "training-triggers") == []
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(lambda: replay("training-triggers"))
    assert ended.value.code == 2


@pytest.mark.broker
async def test_a_skipped_record_is_left_out_from_the_next_start_on_and_its_letter_says_who_wanted_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ensure_topics(settings)
    topic = settings.topic("interactions")
    async with open_producer(settings) as producer:
        await producer.send_all(Outgoing(topic, b"%d" % n) for n in range(3))
    await asyncio.to_thread(
        lambda: skip_record("interactions", 0, 1, reason="it ends intake", data_dir=None, as_json=True)
    )
    assert json.loads(capsys.readouterr().out)["dead_letter"] is True
    await obey_skips(settings)
    assert [r.offset for r in await read(settings, "interactions")] == [0, 2]
    async with open_group(settings, [topic], f"{settings.topic_prefix}g", in_order=True) as group:
        found: list[Record] = []
        while len(found) < 2:
            found += await group.batch(timeout_ms=200, max_records=10)
    assert [r.offset for r in found] == [0, 2]
    (letter,) = await read(settings, "interactions.dlq")
    assert letter.value == b"1"
    assert "it ends intake" in (letter.header("dlq.errors") or b"").decode()
    (order,) = await read(settings, "skipped")
    assert json.loads(order.value or b"").keys() >= {"by", "reason", "at"}
    for topic_name, partition, offset in (("interactions", 0, 3), ("interactions", 9, 0), ("pairs", 0, 0)):
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(
                lambda t=topic_name, p=partition, o=offset: skip_record(
                    t, p, o, reason="r", data_dir=None, as_json=True
                )
            )
        assert ended.value.code == 2


def test_what_is_no_order_skips_nothing() -> None:
    told = Compacted()
    order = skip("p.searches", 3, 14, by="ann", reason="r", now=datetime.now(UTC)).outgoing(
        Settings(topic_prefix="p.")
    )
    for offset, key in enumerate(
        [order.key, b"", b"/", b"a/b/c", b"a/1", b"\xff/1/2/", "a/\u0663/1".encode(), b"a/-1/2"]
    ):
        told.apply(Record("p.skipped", 0, offset, 0, key, b"{}"))
    assert places_of(told) == {("p.searches", 3, 14)}
