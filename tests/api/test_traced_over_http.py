"""A search that comes with a traceparent is followed by it: a real API and broker, a toy for the searcher."""

from collections.abc import Callable

import pytest

from broker.records import Record
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.traceparent import TRACEPARENT
from tests.api.api_process import ApiProcess, answering
from tests.process.span_receiver import span_receiver

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def answer(request: SearchRequest, _: Record) -> SearchResponse:
    return SearchResponse(request_id=request.request_id, status=Status.OK, generation=7)


@pytest.mark.broker
async def test_a_traceparent_is_passed_on_and_comes_back(settings_env: Callable[..., dict[str, str]]):
    async with ApiProcess(settings_env(partitions=1)) as api:
        api.start()
        await api.publish()
        async with answering(api.settings, answer) as asked:
            said = await api.call("GET", "/v1/search?q=boots", traceparent=PARENT)
            none = await api.call("GET", "/v1/search?q=boots", traceparent="00-no")
    assert (said.code, said.headers[TRACEPARENT]) == (200, PARENT)
    assert asked[0].header(TRACEPARENT) == PARENT.encode()
    assert (none.code, none.headers.get(TRACEPARENT), asked[1].header(TRACEPARENT)) == (200, None, None)


@pytest.mark.broker
async def test_with_a_collector_each_request_is_a_span_within_its_client_s(
    settings_env: Callable[..., dict[str, str]],
):
    with span_receiver() as received:
        async with ApiProcess(settings_env(partitions=1, otlp_endpoint=received.address)) as api:
            api.start()
            await api.publish()
            async with answering(api.settings, answer) as asked:
                said = await api.call("GET", "/v1/search?q=boots", traceparent=PARENT)
            assert api.stop() == 0
        spans = received.by_name()
    span = spans["GET search_by_address"]
    own = f"00-{PARENT[3:35]}-{span.span_id.hex()}-01"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert said.headers[TRACEPARENT] == own
    assert asked[0].header(TRACEPARENT) == own.encode(), "what the searcher tells is within it"
