"""Events and products over HTTP: a real API and a real broker, stopped and started."""

import asyncio
import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import pytest
from aiokafka.errors import KafkaError

from broker.records import Record
from embedded.kafka import EmbeddedKafka
from tests.api.api_process import ApiProcess, Said
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=2)) as opened:
        opened.start()
        yield opened


def click(event_id: str, **fields: object) -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    return {
        "event_id": event_id,
        "action_name": "click",
        "client_id": "ann",
        "object_id": "p1",
        "timestamp": now,
    } | fields


def ids_of(records: list[Record]) -> set[str]:
    return {json.loads(record.value or b"").get("event_id") for record in records}


async def test_what_is_accepted_is_on_the_raw_topics_as_it_came_and_what_is_refused_is_nowhere(
    api: ApiProcess,
):
    """One process takes them all: a start takes seconds."""
    one = json.dumps(click("one"), indent=1).encode()
    said = await api.call("POST", "/v1/events", one)
    assert (said.code, said.json.get("accepted"), said.json.get("results")) == (
        202, 1, [{"index": 0, "status": "accepted", "event_id": "one", "errors": []}],
    )  # fmt: skip

    mixed = [click("two"), click("bad", action_name="dance"), {**click("s"), "action_name": None}, 7]
    query = {
        "event_id": "s1",
        "user_query": "rain",
        "query_id": "q",
        "client_id": "ann",
        "timestamp": click("")["timestamp"],
    }
    said = await api.call("POST", "/v1/events", [*mixed, query])
    assert (said.code, said.json["accepted"], said.json["refused"]) == (202, 2, 3)
    assert [r.get("reason") for r in said.json["results"]] == [
        None,
        "unknown_action",
        "schema",
        "not_object",
        None,
    ]
    assert said.json["results"][1]["errors"][0]["loc"] == "action_name"

    lines = b"\n".join(json.dumps(click(i)).encode() for i in ("l1", "l2"))
    packed = await api.call(
        "POST",
        "/v1/events",
        gzip.compress(lines),
        content_type="application/x-ndjson",
        content_encoding="gzip",
    )
    assert (packed.code, packed.json["accepted"]) == (202, 2)

    ours = click("x") | {"event_id": None}
    binary = await api.call(
        "POST", "/v1/events", ours, ce_specversion="1.0", ce_id="ce%201", ce_type="click", ce_source="/"
    )
    named = {"ce_specversion": "1.0", "ce_id": "ce-0", "ce_type": "click", "ce_source": "/"}
    assert (await api.call("POST", "/v1/events", ours, content_type="", **named)).code == 202
    envelope = {"specversion": "1.0", "id": "ce-2", "type": "click", "source": "/", "data": ours}
    structured = await api.call("POST", "/v1/events", envelope, content_type="application/cloudevents+json")
    batch = await api.call(
        "POST", "/v1/events", [envelope | {"id": "ce-3"}], content_type="application/cloudevents-batch+json"
    )
    assert [s.json["results"][0]["event_id"] for s in (binary, structured, batch)] == ["ce 1", "ce-2", "ce-3"]

    algolia = {
        "events": [
            {
                "eventType": "click",
                "eventName": "Clicked",
                "index": "i",
                "userToken": "bob",
                "objectIDs": ["p1"],
            }
        ]
    }
    foreign = await api.call("POST", "/v1/events?format=algolia", algolia)
    assert (foreign.code, foreign.json["accepted"]) == (202, 1), foreign.body
    own = await api.call("POST", "/1/events?X-Algolia-API-Key=none", algolia)
    assert (own.code, own.json["accepted"]) == (200, 1), own.body
    server = {"x_algolia_api_key": "none", "content_type": "text/plain"}  # as Algolia's client for servers
    assert (await api.call("POST", "/1/events", {"events": [7]}, **server)).code == 400
    assert (await api.call("POST", "/1/events", {"events": [7]}, content_type="text/plain")).code == 415
    assert (
        await api.call(
            "POST",
            "/v1/events?format=ubi",
            {"action_name": "scroll", "client_id": "c", "timestamp": ours["timestamp"]},
        )
    ).json["ignored"] == 1

    for path, body, code in (
        ("/v1/events:validate", [click("checked")], 202),
        ("/v1/events:validate", [7], 400),
        ("/v1/events", [click("bad", object_id=None)], 400),
        ("/v1/events", [], 400),
        ("/v1/events?format=csv", [click("x")], 400),
        ("/v1/events", [1] * 1001, 413),
        ("/v1/products:validate", {"product_id": "v", "title": "Valid"}, 202),
        ("/v1/products", {"product_id": "p", "title": "N/A"}, 400),
        (
            "/v1/products",
            [{"product_id": "p1", "title": "Storm shell"}, {"product_id": "p2", "title": "Parka"}],
            202,
        ),
    ):
        assert (await api.call("POST", path, body)).code == code, path
    bomb = gzip.compress(b" " * 100_000_000)
    for body, headers, code in (
        (bomb, {"content_encoding": "gzip"}, 413),
        (b"[" * 1_000_000, {}, 400),
        (json.dumps(click("big", application="x" * 300_000)).encode(), {}, 400),
        (one, {"content_type": "text/plain"}, 415),
        (one, {"content_type": ""}, 415),
        (one, {"origin": "https://evil.example"}, 403),
    ):
        assert (await api.call("POST", "/v1/events", body, **headers)).code == code
    assert (await api.call("DELETE", "/v1/products/a%2Fb%20c")).json["results"][0]["product_id"] == "a/b c"
    assert (await api.call("DELETE", "/v1/products/%FF")).json["results"][0]["reason"] == "undecodable_text"

    events = await api.records("interactions")
    assert ids_of(events) - {None} - ids_of(e for e in events if b"bob" in e.value) == {
        "one",
        "two",
        "l1",
        "l2",
    }
    assert len(events) == 10
    assert next(e for e in events if b'"one"' in e.value).value == one
    assert {e.key for e in events if e.header("ce_id") is None and b"bob" not in e.value} == {b"ann"}
    assert {e.header("ce_id") for e in events} == {None, b"ce 1", b"ce-0"}
    assert ids_of(await api.records("searches")) == {"s1"}
    products = await api.records("products")
    assert {(p.key, p.value is None) for p in products} == {(b"p1", False), (b"p2", False), (b"a/b c", True)}
    assert 'searchloop_api_records_total{outcome="refused",reason="unknown_action"} 1.0' in await api.page(
        "metrics"
    )
    assert "Traceback" not in api.log()


async def test_what_was_accepted_is_there_after_a_kill_and_while_kafka_stands_still_nothing_is(
    api: ApiProcess, embedded_kafka: EmbeddedKafka
):
    accepted: set[str] = set()
    refused: set[str] = set()

    async def post(number: int) -> Said:
        batch = [click(f"{number}-{n}", **({} if n % 5 else {"action_name": "dance"})) for n in range(50)]
        while True:
            try:
                said = await api.call("POST", "/v1/events", batch)
            except (aiohttp.ClientError, OSError):  # it was killed: again, as a client does
                continue
            for result, sent in zip(said.json.get("results", ()), batch, strict=False):
                (accepted if result["status"] == "accepted" else refused).add(str(sent["event_id"]))
            return said

    await api.publish()

    async def client(number: int) -> set[int]:
        return {(await post(4 * number + n)).code for n in range(4)}

    posting = [asyncio.create_task(client(number)) for number in range(10)]
    await until(lambda: len(accepted) > 200, "some are accepted", pause_s=0.01)
    api.kill()
    api.start()
    assert set().union(*await asyncio.gather(*posting)) == {202}
    assert (len(accepted), len(refused)) == (40 * 40, 40 * 10)

    await api.shows(lambda page: page.get("ready") and page.get("generation") == 7)
    assert embedded_kafka.pid is not None
    os.kill(embedded_kafka.pid, signal.SIGSTOP)
    try:
        search, late = await asyncio.gather(
            api.call("POST", "/v1/search", {"user_query": "rain", "timeout_ms": 500}), post(41)
        )
        for said in (search, late):
            assert (said.code, said.json["error"]["code"], said.headers["Retry-After"]) == (
                503,
                "unavailable",
                "1",
            )
        assert not (await api.readyz())["ready"]
    finally:
        os.kill(embedded_kafka.pid, signal.SIGCONT)

    async def taken() -> bool:
        return (await post(42)).code == 202

    async def read() -> set[str] | None:
        with suppress(KafkaError):  # for a moment it knows no brokers
            return ids_of(await api.records("interactions"))
        return None

    await api.until(taken, "Kafka takes records again")
    there = await api.until(read, "Kafka is read again")
    assert there is not None
    assert accepted <= there
    assert not refused & there
