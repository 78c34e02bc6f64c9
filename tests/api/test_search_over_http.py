"""Searches over HTTP: a real API, a real broker, a toy in the searcher's place."""

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable

import pytest

from broker.records import Record
from schemas.bounds import IMAGE_BYTES, REQUEST_BYTES, SEARCH_BATCH_BYTES
from schemas.search import (
    ScoredHit,
    SearchError,
    SearchRequest,
    SearchResponse,
    Status,
    Timings,
)
from tests.api.api_process import ApiProcess, answering
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=1, api_requests=3)) as opened:
        opened.start()
        yield opened


def found(request: SearchRequest, **fields: object) -> SearchResponse:
    return SearchResponse.model_validate(
        {
            "request_id": request.request_id,
            "query_id": request.query_id or "q-1",
            "status": Status.OK,
            "hits": [ScoredHit(product_id=request.user_query, rank=request.offset + 1, score=1.0)],
            "generation": 7,
            "timings": Timings(queue_ms=1.25, total_ms=9.5),
            **fields,
        }
    )


async def refuse_or_find(request: SearchRequest, _: Record) -> SearchResponse | None:
    """Each query word ends in its own way; ``nobody`` gets no answer."""
    error = SearchError(code=request.user_query, message="so it is")
    match request.user_query:
        case "nobody":
            return None
        case "invalid_filter":
            return found(request, status=Status.REJECTED, hits=[], error=error)
        case "overloaded":
            later = error.model_copy(update={"retryable": True, "retry_after_ms": 1500})
            return found(request, status=Status.REJECTED, hits=[], error=later)
        case "expired":
            return found(request, status=Status.EXPIRED, hits=[], error=error)
        case "processing_error":
            return found(request, status=Status.ERROR, hits=[], error=error)
        case _:
            return found(request)


async def test_a_search_is_answered_with_the_searchers_own_words_and_every_end_has_its_code(api: ApiProcess):
    """One process answers them all: a start takes seconds."""
    body = {
        "user_query": "rain jacket",
        "k": 3,
        "client_id": "ann",
        "filters": [{"field": "brand", "value": "x"}],
    }
    early = await api.call("POST", "/v1/search", body)
    assert (early.code, early.json["error"]["code"], early.headers["Retry-After"]) == (503, "no_release", "5")

    await api.publish()
    async with answering(api.settings, refuse_or_find) as asked:
        answer = await api.call("POST", "/v1/search", body)
        assert (answer.code, answer.json["status"], answer.json["hits"][0]["product_id"]) == (
            200,
            "ok",
            "rain jacket",
        )
        assert answer.headers["X-Searchloop-Query-Id"] == answer.json["query_id"] == "q-1"
        assert answer.headers["X-Searchloop-Generation"] == "7"
        assert answer.headers["Content-Type"] == "application/json"
        assert "queue;dur=1.25" in answer.headers["Server-Timing"]
        assert "searcher;dur=9.50, total;dur=" in answer.headers["Server-Timing"]
        sent = SearchRequest.from_json(asked[0].value or b"")
        assert (sent.k, sent.client_id, sent.filters[0].value, len(sent.request_id)) == (3, "ann", "x", 32)
        assert asked[0].key == sent.request_id.encode() == answer.json["request_id"].encode()

        by_address = await api.call(
            "GET", "/v1/search?q=sh%C3%B6es&k=5&offset=10&explain=true&query_id=%C3%A9%201"
            "&filter=price:lte:20&filter=category:in:A%20%3E%20B|C:D&filter=attributes.a:b:eq:red:c"
            "&filter=attributes.size:exists:true&facet=brand&facet=attributes.a:b&group_by=group_id&sort=newest"
        )  # fmt: skip
        sent = SearchRequest.from_json(asked[1].value or b"")
        assert (by_address.code, sent.user_query, sent.k, sent.offset, sent.explain) == (
            200,
            "shöes",
            5,
            10,
            True,
        )
        assert [f.model_dump() for f in sent.filters] == [
            {"field": "price", "op": "lte", "value": "20"},
            {"field": "category", "op": "in", "value": ["A > B", "C:D"]},
            {"field": "attributes.a:b", "op": "eq", "value": "red:c"},
            {"field": "attributes.size", "op": "exists", "value": "true"},
        ]
        assert (sent.facets, sent.group_by, sent.sort) == (["brand", "attributes.a:b"], "group_id", "newest")
        assert by_address.headers["X-Searchloop-Query-Id"] == "%C3%A9%201"

        ends = {}
        for query in ("invalid_filter", "overloaded", "expired", "processing_error", "nobody"):
            said = await api.call("POST", "/v1/search", {"user_query": query, "timeout_ms": 300})
            ends[query] = (said.code, said.json["status"], said.headers.get("Retry-After"))
        assert ends == {
            "invalid_filter": (400, "rejected", None),
            "overloaded": (429, "rejected", "2"),
            "expired": (504, "expired", None),
            "processing_error": (500, "error", None),
            "nobody": (504, "expired", "1"),
        }

        batch = await api.call(
            "POST", "/v1/search:batch",
            {"requests": [{"user_query": "a"}, {"k": 0}, 7, {"user_query": "overloaded"}]},
        )  # fmt: skip
        assert batch.code == 200
        assert [r["status"] for r in batch.json["responses"]] == ["ok", "rejected", "rejected", "rejected"]
        assert batch.json["responses"][1]["error"]["message"].startswith("k:")
        await a_picture_reaches_the_searcher_byte_for_byte(api, asked)
        await one_too_many_is_told_to_come_again(api)

    pid = api.pid
    api.kill()
    api.start()
    assert api.pid != pid
    async with answering(api.settings, refuse_or_find):
        await api.shows(lambda page: page.get("ready") and page.get("generation") == 7)
        assert (await api.call("GET", "/v1/search?q=again")).code == 200
    assert api.stop() == 0


async def a_picture_reaches_the_searcher_byte_for_byte(api: ApiProcess, asked: list[Record]) -> None:
    """Also the greatest, and several of a batch; beside pictures the bounds are those of texts."""
    picture, larger = bytes(range(256)) * (IMAGE_BYTES // 256), b64encode(bytes(IMAGE_BYTES + 3)).decode()
    body = {"image": b64encode(picture).decode(), "image_weight": 0.25}
    assert (await api.call("POST", "/v1/search", body)).code == 200
    sent = SearchRequest.from_json(asked[-1].value or b"")
    assert (sent.image, sent.image_weight, sent.user_query) == (picture, 0.25, "")
    batch = await api.call("POST", "/v1/search:batch", {"requests": [body] * 3 + [{"image": "?"}]})
    assert [r["status"] for r in batch.json["responses"]] == ["ok"] * 3 + ["rejected"]
    for path, too_much, code in (
        ("/v1/search", {"image": larger}, "image_too_large"),
        ("/v1/search", {"image": "AAAA", "padding": "x" * REQUEST_BYTES}, "invalid_request"),
        ("/v1/search", body | {"padding": "x" * REQUEST_BYTES}, "too_large"),
        ("/v1/search:batch", {"requests": [{"user_query": "x" * SEARCH_BATCH_BYTES}]}, "invalid_request"),
    ):
        said = await api.call("POST", path, too_much)
        assert (said.code, said.json["error"]["code"]) == (413, code), path


async def one_too_many_is_told_to_come_again(api: ApiProcess) -> None:
    waiting = [
        asyncio.create_task(api.call("POST", "/v1/search", {"user_query": "nobody", "timeout_ms": 4000}))
        for _ in range(3)
    ]
    await until(lambda: shows_in_flight(api, 3), "three are worked on")
    fourth = await api.call("GET", "/v1/search?q=rain")
    assert (fourth.code, fourth.json["error"]["code"], fourth.headers["Retry-After"]) == (429, "busy", "1")
    assert {said.code for said in await asyncio.gather(*waiting)} == {504}


async def shows_in_flight(api: ApiProcess, count: int) -> bool:
    return f"searchloop_api_in_flight {count}.0" in await api.page("metrics")


HOSTILE: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "nothing": (400, b"", {}),
    "no JSON": (400, b"{", {}),
    "no object": (400, b"[]", {}),
    "NaN": (400, b'{"user_query": "a", "k": NaN}', {}),
    "Infinity": (400, b'{"user_query": "a", "k": -Infinity}', {}),
    "brackets without end": (400, b'{"a":' + b"[" * 50_000, {}),
    "half a surrogate": (400, rb'{"user_query": "\ud800"}', {}),
    "no UTF-8": (400, b'{"user_query": "\xff"}', {}),
    "a number of 5,000 digits": (400, b'{"user_query": "a", "k": ' + b"9" * 5000 + b"}", {}),
    "a text where a number is": (400, b'{"user_query": "a", "k": "many"}', {}),
    "a query that is too long": (400, json.dumps({"user_query": "a" * 2000}).encode(), {}),
    "too large": (413, b" " * 70_000, {}),
    "a bomb": (413, gzip.compress(b" " * 50_000_000), {"content_encoding": "gzip"}),
    "half a gzip": (400, gzip.compress(b'{"user_query": "a"}')[:-9], {"content_encoding": "gzip"}),
    "no gzip": (400, b"{}", {"content_encoding": "gzip"}),
    "another encoding": (415, b"{}", {"content_encoding": "br"}),
    "text": (415, b"{}", {"content_type": "text/plain"}),
    "a form": (415, b"{}", {"content_type": "application/x-www-form-urlencoded"}),
    "no content type": (415, b"{}", {"content_type": ""}),
    "another site": (403, b"{}", {"origin": "https://evil.example"}),
    "a name that is not ours": (403, b"{}", {"host": "evil.example"}),
}


async def test_hostile_requests_are_refused_with_the_reason_and_the_next_one_is_answered(api: ApiProcess):
    for name, (code, body, headers) in HOSTILE.items():
        for path in ("/v1/search", "/v1/search:batch"):
            said = await api.call("POST", path, body, **headers)
            expected = (
                400 if name in {"too large", "a bomb"} and "batch" in path and len(body) == 70_000 else code
            )
            assert (said.code, bool(said.json["error"]["message"])) == (expected, True), (
                name,
                path,
                said.body,
            )
    for path, code in (
        ("/v1/search", 400), ("/v1/search?q=a&q=b", 400), ("/v1/search?q=a&size=3", 400),
        ("/v1/search?q=%FF", 503), ("/v1/search?q=a&filter=brand", 400), ("/v1/search?q=a&k=1e9", 400),
        ("/v1/nothing", 404), ("/", 404),
    ):  # fmt: skip
        assert (await api.call("GET", path)).code == code, path
    wrong = await api.call("DELETE", "/v1/search")
    assert (wrong.code, wrong.headers["Allow"], wrong.json["error"]["code"]) == (405, "GET, POST", "http_405")
    assert "Traceback" not in api.log()
    metrics = await api.page("metrics")
    assert 'searchloop_api_responses_total{code="415",route="search"}' in metrics
    assert "searchloop_api_in_flight 0.0" in metrics
