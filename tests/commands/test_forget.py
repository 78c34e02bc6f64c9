"""``forget``, ``explain`` and ``pairs`` on a real broker and the real process.

It is killed while it forgets.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.pairs import Pair, client_of
from schemas.releases import LivePointer
from schemas.settings import StreamSettings, TrainerSettings
from tests.contracts.examples import RELEASE
from tests.processes import run_verb
from tests.stream.shop import engagements, expected, outgoing, products
from tests.stream.stream_process import StreamProcess, pairs_of
from tests.topics import read_all
from trainer.data.snapshot import Snapshot, take

pytestmark = [pytest.mark.broker, pytest.mark.slow]
GONE = "client-3"
PATIENT = ("--timeout-s", "240")


@pytest.fixture
def stream_settings(kafka, topic_prefix, tmp_path):
    return StreamSettings(
        kafka=kafka,
        topic_prefix=topic_prefix,
        data_dir=tmp_path,
        partitions=2,
        broker_session_timeout_s=6.0,
        purchase_window=timedelta(hours=1),
    )


async def metrics_of(stream, name):
    """Return the values of a metric by its labels, as the process shows it."""
    lines = (await stream.page("metrics")).splitlines()
    return {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)}


def clients_of_a_snapshot(settings):
    """Take a snapshot as a training run does; return the hashes in it."""
    folder = settings.data_dir / "snapshot"
    folder.mkdir()
    trainer = TrainerSettings(
        kafka=settings.kafka, topic_prefix=settings.topic_prefix, data_dir=settings.data_dir
    )
    take(trainer, folder, LivePointer(sequence=1, live=RELEASE, cause="test"))
    return set(Snapshot.read(folder).clients["client"].to_list())


async def test_a_shopper_is_forgotten_through_a_kill_and_its_events_can_be_explained(stream_settings):
    s, now = stream_settings, datetime.now(UTC)
    raw = engagements(40, 12, until_ms=int(now.timestamp() * 1000))
    with_all, without = expected(raw, now), expected([r for r in raw if r[1] != GONE], now)
    assert with_all != without
    click = {
        "action_name": "click",
        "client_id": "zoe",
        "query_id": "qz",
        "object_id": "p1",
        "timestamp": now.isoformat(),
    }
    searched = {"query_id": "qz", "user_query": "Zebra", "client_id": "zoe", "query_response_hit_ids": ["p1"]}
    extra = [
        ("interactions", "zoe", {**click, "event_id": "orphan", "query_id": "never-seen", "object_id": "p2"}),
        ("interactions", "zoe", {**click, "event_id": "robot", "is_bot": True}),
        (
            "interactions",
            "zoe",
            {**click, "event_id": "old", "timestamp": (now - timedelta(days=90)).isoformat()},
        ),
        (
            "searches",
            "zoe",
            {**searched, "event_id": "seen", "timestamp": (now - timedelta(seconds=9)).isoformat()},
        ),
        ("interactions", "zoe", {**click, "event_id": "good"}),
        (
            "interactions",
            "zoe",
            {**click, "event_id": "again", "timestamp": (now + timedelta(seconds=5)).isoformat()},
        ),
    ]
    long_ago = {"query_id": "qw", "client_id": "max", "timestamp": (now - timedelta(hours=6)).isoformat()}
    extra += [
        ("searches", "max", {**long_ago, "user_query": "walrus", "query_response_hit_ids": ["p5"]}),
        ("interactions", "max", {**long_ago, "action_name": "click", "object_id": "p5"}),
    ]
    today = [("interactions", "max", {**click, "client_id": "max", "query_id": None})]
    wish = {"event_id": "wish-1", "client_id": GONE, "timestamp": datetime.now(UTC).isoformat()}
    await ensure_topics(s)
    async with open_producer(s) as producer:
        await producer.send_all(outgoing(products(12), s))
        with StreamProcess(s).start() as stream:
            await producer.send_all(outgoing(raw, s))

            async def all_counted():
                return await pairs_of(s) == with_all

            await stream.until(all_counted)
            await producer.send(Outgoing(s.topic("erasures"), json.dumps(wish).encode()))

            async def taken_in():
                return any(b'"forget"' in (r.value or b"") for r in await stream.records("events"))

            await stream.until(taken_in)
            stream.kill()
        with StreamProcess(s).start() as stream:

            async def forgotten():
                return await pairs_of(s) == without

            await stream.until(forgotten)
            # Again, and the verb itself
            facts = await asyncio.to_thread(run_verb, s, "forget", "--client", GONE, *PATIENT)
            assert (facts["state"], facts["pairs_that_named_it"]) == ("forgotten", 0)
            facts = await asyncio.to_thread(run_verb, s, "forget", "--client", "client-4", *PATIENT)
            assert facts["pairs_that_named_it"] > 0
            gone_too = expected([r for r in raw if r[1] not in {GONE, "client-4"}], now)
            assert await pairs_of(s) == gone_too
            asked = await read_all(s.kafka, s.topic("training-triggers"))
            assert [b'"refresh":true' in (r.value or b"") for r in asked] == [True, True]
            # The pairs are not without the shopper when it returns: the trainer refreshes once they are
            facts = await asyncio.to_thread(run_verb, s, "forget", "--client", "client-4", "--no-wait")
            assert "follows when its pairs have changed" in facts["later"]["the memory that serves"]
            assert len(await read_all(s.kafka, s.topic("training-triggers"))) == 2
            assert not any(
                client_of(c) in Pair.from_json(v).clients
                for v in gone_too.values()
                for c in (GONE, "client-4")
            )
            clients = await asyncio.to_thread(clients_of_a_snapshot, s)
            assert client_of("client-5") in clients
            assert not {client_of(GONE), client_of("client-4")} & clients
            for record in outgoing(extra, s):  # one after the other: broker time says what came first
                await producer.send(record)
                await asyncio.sleep(0.002)

            async def learnt():
                return {b"zebra\tp1", b"walrus\tp5"} <= set(await pairs_of(s))

            async def caught_up():
                lags = await metrics_of(stream, "searchloop_lag_records{")
                return len(lags) == 6 and set(lags.values()) == {0.0}

            async def taken():
                return (await stream.intake()).get("read", 0)

            await stream.until(learnt)
            await stream.until(caught_up)
            before = await taken()
            await producer.send_all(outgoing(today, s))

            async def heard_of_today():
                return await taken() > before > 0

            await stream.until(heard_of_today)
            await stream.until(caught_up)
            # What max did six hours ago is no longer remembered: the pair itself has to drop it.
            facts = await asyncio.to_thread(run_verb, s, "forget", "--client", "max", *PATIENT)
            assert facts["pairs_that_named_it"] == 1
            assert b"walrus\tp5" not in await pairs_of(s)

            async def erased():  # counted after it is written
                return sum((await metrics_of(stream, "searchloop_erased_pairs_total")).values()) == 1

            await stream.until(erased)
    verbs = await asyncio.to_thread(
        lambda: {
            i: run_verb(s, "explain", i)
            for i in ("good", "again", "orphan", "robot", "old", "seen", "wish-1")
        }
    )
    assert [r["outcome"] for facts in verbs.values() for r in facts["raw"]] == [
        "accepted", "accepted", "accepted", "ignored", "refused", "accepted", "accepted",
    ]  # fmt: skip
    [good] = verbs["good"]["events"]
    assert [(c["query"], c["product_id"], c["credit"]) for c in good["contributions"]] == [
        ("zebra", "p1", 1000)
    ]
    assert good["why"] == "credited"
    [line] = good["now"]
    assert (line["product_id"], line["query"], line["credit"], line["method"], line["delay_s"]) == (
        "p1", "zebra", 1000, "named", 9.0,
    )  # fmt: skip
    [seen] = verbs["seen"]["events"]
    assert [one["event_id"] for one in seen["led_to"]] == ["good"]
    assert verbs["good"]["read"]["interactions"] > 100
    assert verbs["again"]["events"][0]["why"].startswith("repeated")
    assert verbs["orphan"]["events"][0]["why"].startswith("when it came, no search")
    assert (verbs["robot"]["raw"][0]["why"], verbs["robot"]["events"]) == ("bot", [])
    assert (verbs["old"]["raw"][0]["why"], verbs["old"]["dead_letters"][0]["reason"]) == (
        "too_old",
        "too_old",
    )
    assert verbs["wish-1"]["events"][0]["kind"] == "forget"
    assert all(c["credit"] <= 0 for c in verbs["wish-1"]["events"][0]["contributions"])
    assert "no" in await asyncio.to_thread(lambda: run_verb(s, "explain", "nobody", code=1))
    [zebra] = await asyncio.to_thread(run_verb, s, "pairs", "ZEBRA", "--days")
    assert (zebra["product_id"], zebra["clients"]) == ("p1", {client_of("zoe"): 1000})
    assert zebra["weight"] > 0
    # A click is worth 0.1, and one client counts half a pair at most
    assert zebra["decayed_credit"] == pytest.approx(0.05)
