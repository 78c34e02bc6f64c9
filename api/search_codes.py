"""A search's answer in HTTP's words: the status code and the headers. Pure."""

from urllib.parse import quote

from api.bodies import HttpFault
from api.refusals import error_of, retry_after
from schemas.search import SearchRequest, SearchResponse, Status

QUERY_ID = "X-Searchloop-Query-Id"
GENERATION = "X-Searchloop-Generation"
_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


def code_of(response: SearchResponse) -> int:
    """Return the status code of an answer that a searcher gave."""
    if response.status in {Status.OK, Status.PARTIAL}:
        return 200
    if response.status is Status.EXPIRED:
        return 504
    if response.status is Status.REJECTED:
        return 429 if response.error is not None and response.error.code == "overloaded" else 400
    return 503 if response.error is not None and response.error.retryable else 500


def headers_of(response: SearchResponse, took_ms: float) -> dict[str, str]:
    """Return the headers of an answer. ``took_ms`` is from our request to its answer, Kafka included.

    An id is percent-encoded where a header could not hold it.
    """
    timings = response.timings
    parts = {"queue": timings.queue_ms, "embed": timings.embed_ms, "search": timings.search_ms}
    parts |= {"searcher": timings.total_ms, "total": took_ms}
    headers = {"Server-Timing": ", ".join(f"{name};dur={ms:.2f}" for name, ms in parts.items())}
    if response.query_id is not None:
        headers[QUERY_ID] = quote(response.query_id, safe=_VISIBLE)
    if response.generation is not None:
        headers[GENERATION] = str(response.generation)
    return headers | retry_after(response.error)


def unanswered(request: SearchRequest | None, fault: HttpFault) -> SearchResponse:
    """Return what is said of a search that no searcher answers."""
    status = (
        Status.EXPIRED if fault.status == 504 else Status.ERROR if fault.status >= 500 else Status.REJECTED
    )
    return SearchResponse(
        request_id=request.request_id if request is not None else "",
        query_id=request.query_id if request is not None else None,
        status=status,
        error=error_of(fault),
    )
