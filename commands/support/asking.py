"""One search over Kafka, and its answer."""

import time

from broker.requesting import Requester
from schemas.search import SearchRequest, SearchResponse
from schemas.settings import Settings


async def ask(
    requester: Requester, settings: Settings, request: SearchRequest
) -> tuple[SearchResponse, float]:
    """Return the answer and the milliseconds it took from here to here. Raises ``TimeoutError``."""
    started = time.perf_counter()
    record = await requester.ask(
        settings.topic("search-requests"),
        request.to_json(),
        key=request.request_id.encode(),
        timeout_s=request.timeout_ms / 1000 + 1,
    )
    return SearchResponse.from_json(record.value or b""), (time.perf_counter() - started) * 1000
