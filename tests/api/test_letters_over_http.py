"""Dead letters over HTTP and in the console: a real API and a real broker."""

import json
from collections.abc import AsyncIterator, Callable

import pytest

from broker.dead_letters import MAX_REPLAYS, dead_letter, reason_of
from broker.producing import open_producer
from broker.records import Record
from schemas.decoding import refuse
from schemas.rejections import Reason
from tests.api.api_process import ApiProcess
from tests.api.console.test_console_over_http import posted
from tests.processes import run_verb
from tests.topics import read_all

pytestmark = pytest.mark.broker


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=1)) as opened:
        yield opened


async def refuse_all(api: ApiProcess, *values: bytes, reason: Reason = Reason.UNKNOWN_PRODUCT) -> None:
    """Write letters of interactions, as intake does."""
    topic = api.settings.topic("interactions")
    records = [Record(topic, 0, place, 1, b"ann", value) for place, value in enumerate(values)]
    async with open_producer(api.settings, linger_ms=0) as producer:
        await producer.send_all(
            dead_letter(one, refuse(reason, "object_id", "no such <product>"), stage="intake")
            for one in records
        )


async def test_letters_are_listed_read_and_sent_again(api: ApiProcess):
    """One process takes them all: a start takes seconds."""
    await refuse_all(api, b'{"event_id": "e1", "object_id": "<b>"}', b"\xff{")
    await refuse_all(api, b"{", reason=Reason.JSON_DECODE)
    api.start()

    async def three() -> object:
        said = await api.call("GET", "/v1/dead-letters")
        return said if said.code == 200 and len(said.json["letters"]) == 3 else None

    said = await api.until(three, "all letters are read")
    counts = run_verb(api.settings, "dlq", "list")
    ours = [one | {"topic": f"{one['topic']}.dlq"} for one in said.json["counts"]]
    assert sorted(ours, key=str) == sorted(counts, key=str)
    newest = said.json["letters"][0]
    assert (newest["topic"], newest["offset"], newest["reason"]) == ("interactions", 2, "json_decode")
    only = await api.call("GET", "/v1/dead-letters?topic=interactions&reason=unknown_product&limit=1")
    assert [one["offset"] for one in only.json["letters"]] == [1]
    assert only.json["letters"][0]["value"] == "\\xff{"
    after = await api.call("GET", f"/v1/dead-letters?reason=unknown_product&after={only.json['next']}")
    assert ([one["offset"] for one in after.json["letters"]], after.json["next"]) == ([0], None)
    alone = await api.call("GET", "/v1/dead-letters/interactions/0")
    assert json.loads(alone.json["errors"])[0]["loc"] == "object_id"

    page = (await api.call("GET", "/console/data")).body.decode()
    assert "unknown product" in page
    one = (await api.call("GET", "/console/data/interactions/0")).body.decode()
    assert "no such &lt;product&gt;" in one
    assert "<b>" not in one

    for body, code in (
        ({"topic": "interactions", "offset": 9}, 404),
        ({"topic": "pairs"}, 422),
        ({"topic": "interactions", "reason": "because"}, 422),
        ({}, 422),
    ):
        assert (await api.call("POST", "/v1/dead-letters:replay", body)).code == code, body
    assert await api.records("interactions") == []
    both = {"topic": "interactions", "reason": "unknown_product"}
    done = await api.call("POST", "/v1/dead-letters:replay", both)
    assert (done.code, done.json) == (200, {"found": 2, "replayed": 2, "capped": 0})
    sent = await api.records("interactions")
    assert [(r.key, r.value) for r in sent] == [
        (b"ann", b'{"event_id": "e1", "object_id": "<b>"}'), (b"ann", b"\xff{"),
    ]  # fmt: skip
    shown = await posted(api, "/console/data?topic=interactions", topic="interactions", offset="2")
    assert "1 of 1 sent again" in shown.body.decode()
    assert "Not done" in (await posted(api, "/console/data", topic="interactions", offset="9")).body.decode()
    assert len(await api.records("interactions")) == 3

    await refused_until_capped(api, sent[0])
    capped = await api.call("POST", "/v1/dead-letters:replay", both)
    assert (capped.json["replayed"], capped.json["capped"]) == (1, 1), "of a record its newest letter counts"


async def refused_until_capped(api: ApiProcess, again: Record) -> None:
    """Refuse a record that was sent again so often that it may not be once more, as intake does."""
    headers = tuple((k, v if k != "dlq.replayed" else str(MAX_REPLAYS).encode()) for k, v in again.headers)
    last = Record(again.topic, again.partition, again.offset, 1, again.key, again.value, headers)
    async with open_producer(api.settings, linger_ms=0) as producer:
        await producer.send(dead_letter(last, refuse(Reason.UNKNOWN_PRODUCT), stage="intake"))

    async def read() -> bool:
        return len((await api.call("GET", "/v1/dead-letters?reason=unknown_product")).json["letters"]) == 3

    await api.until(read, "the last letter is read")
    letters = await read_all(api.settings.kafka, f"{api.settings.topic('interactions')}.dlq")
    assert reason_of(letters[-1]) == "unknown_product"
