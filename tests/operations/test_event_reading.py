"""An event is looked for within a bound, on a real broker, and what was not looked at is said."""

import json
from collections.abc import Callable

import pytest

from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from credit.shopper import Rules
from operations.event_reading import ReadBound, Trace, trace_event
from operations.fate_told import fate_told
from operations.fate_words import in_a_sentence
from schemas.settings import StreamSettings
from tests.stream.builders import MINUTE, RULES, T0, act, run, search

pytestmark = pytest.mark.broker
OTHERS = 1500


async def traced(settings: StreamSettings, **bound: int | None) -> Trace:
    return await trace_event(settings, "wanted", Rules.of(settings), bound=ReadBound(**bound))


async def test_no_more_is_read_than_may_be_and_what_was_not_is_said(
    settings_env: Callable[..., dict[str, str]],
):
    settings = StreamSettings.load(settings_env(partitions=1))
    log = [search("q1", "mug", ["p1"]), act("click", "p1", at=MINUTE, query_id="q1", event_id="wanted")]
    _, [contribution] = run(log, RULES)
    raw = {"event_id": "wanted", "client_id": "ann", "timestamp": T0 / 1000, "action_name": "click"}
    late = T0 + 10 * MINUTE  # of records that come after it

    def out(topic: str, value: bytes, at_ms: int) -> Outgoing:
        return Outgoing(settings.topic(topic), value, timestamp_ms=at_ms)

    await ensure_topics(settings)
    async with open_producer(settings) as producer:
        await producer.send_all(
            [
                out("interactions", json.dumps(raw).encode(), T0),
                *(out("events", one.to_json(), T0) for one in log),
                out("contributions", contribution.to_json(), T0),
            ]
        )
        for topic in ("interactions", "events", "contributions"):
            await producer.send_all(out(topic, b"{}", late + n) for n in range(OTHERS))

    whole = await traced(settings)
    assert (len(whole.raw), len(whole.events), whole.limits) == (1, 1, [])
    assert whole.read["interactions"] == whole.read["contributions"] == OTHERS + 1
    assert whole.read["events"] == 2 * (OTHERS + 2), "once for the event, once for its shopper"
    told = fate_told("wanted", whole, settings, {}, salt=None)
    assert "it counts 1 for 'mug' and p1" in in_a_sentence(told)
    assert [one.credit for one in told.events[0].contributions] == [1000]

    newest = await traced(settings, most=500)
    assert (newest.raw, newest.events) == ([], [])
    assert all(count <= 500 for count in newest.read.values()), newest.read
    assert [limit.partition(" only ")[0] for limit in newest.limits] == [
        "of searches, interactions, erasures", "of events",
    ]  # fmt: skip

    first = await traced(settings, most=500, since_ms=T0 - 1)
    told = fate_told("wanted", first, settings, {}, salt=None)
    assert "it counts 1 for 'mug' and p1" in in_a_sentence(told)
    assert [one.credit for one in told.events[0].contributions] == [1000]
    assert max(first.read["interactions"], first.read["contributions"], first.read["events"] // 3) < 600
    assert len(first.limits) == 1, first.limits
    assert "what it did long before or after is not known here" in first.limits[0]


async def test_the_first_records_since_a_time_are_those_of_every_partition(
    settings_env: Callable[..., dict[str, str]],
):
    settings = StreamSettings.load(settings_env(partitions=4))
    products = ["p1", "p2", "p3", "p4"]
    log = [search("q1", "mug", products)]
    log.append(act("purchase", products, at=MINUTE, query_id="q1", event_id="wanted"))
    _, contributions = run(log, RULES)
    assert len(contributions) == 4
    await ensure_topics(settings)
    async with open_producer(settings) as producer:
        await producer.send_all(
            Outgoing(settings.topic("events"), one.to_json(), partition=0, timestamp_ms=T0) for one in log
        )
        for number, one in enumerate(contributions):
            raw = {"event_id": f"raw-{number}", "client_id": "ann", "timestamp": T0 / 1000}
            for topic, value in (
                ("interactions", json.dumps(raw).encode()),
                ("contributions", one.to_json()),
            ):
                full = settings.topic(topic)
                await producer.send_all(
                    Outgoing(full, value if n == 0 else b"{}", partition=number, timestamp_ms=T0 + n)
                    for n in range(OTHERS)
                )

    bound = ReadBound(most=1000, since_ms=T0 - 1)
    for number in range(4):
        found = await trace_event(settings, f"raw-{number}", Rules.of(settings), bound=bound)
        assert len(found.raw) == 1, number
        assert found.read["interactions"] <= 1000
    found = await trace_event(settings, "wanted", Rules.of(settings), bound=bound)
    [told] = fate_told("wanted", found, settings, {}, salt=None).events
    assert (len(told.contributions), told.waiting) == (4, 0)
    assert found.cut == {"interactions", "searches", "erasures"}
