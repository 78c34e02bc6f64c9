"""The answers to requests that are not searched: refused, expired, or too many at once. Pure."""

from schemas.rejections import Rejection
from schemas.search import SearchError, SearchResponse, Status
from searcher.requests import Accepted, BadRequest

_LEAST_RETRY_MS, _MOST_RETRY_MS = 100, 60_000


def rejected(refused: BadRequest) -> SearchResponse:
    """Return the answer to a bad request; its id is empty where none could be read."""
    return SearchResponse(request_id=refused.request_id or "", status=Status.REJECTED, error=refused.error)


def expired(accepted: Accepted, *, now_ms: float, skew_ms: float) -> SearchResponse:
    """Return the answer to a request that has waited too long, or whose clock says so.

    Then the answer names the difference.
    """
    message = f"the request waited longer than its timeout of {accepted.request.timeout_ms} ms"
    behind_s = (now_ms - (accepted.sent_ms or now_ms)) / 1000
    if skew_ms < 0:
        message = (
            f"the record's timestamp was {-skew_ms / 1000:.0f} s behind this server's clock when the record "
            "came: the client's clock is behind, or its producer held the record back; timeout_ms "
            f"({accepted.request.timeout_ms}) counts from it"
        )
    else:
        message += f": the record's timestamp is {behind_s:.1f} s behind this server's clock"
    return _without_hits(
        accepted,
        Status.EXPIRED,
        SearchError(code="clock_skew" if skew_ms < 0 else "expired", message=message, retryable=True),
    )


def unfit(accepted: Accepted, picture: Rejection) -> SearchResponse:
    """Return the answer to a request whose picture is none, or none that may be decoded."""
    error = SearchError(code=picture.reason.value, message=f"image: {picture.problems[0].message}")
    return _without_hits(accepted, Status.REJECTED, error)


def overloaded(accepted: Accepted, *, wait_s: float) -> SearchResponse:
    """Return the answer to a request that would expire before its turn, or for which there is no room."""
    retry_ms = int(min(_MOST_RETRY_MS, max(_LEAST_RETRY_MS, wait_s * 1000)))
    error = SearchError(
        code="overloaded",
        message=f"too much is waiting: about {wait_s:.1f} s of work",
        retryable=True,
        retry_after_ms=retry_ms,
    )
    return _without_hits(accepted, Status.REJECTED, error)


def failed(accepted: Accepted, kind: str) -> SearchResponse:
    """Return the answer to a request by which our code failed in a way that nobody foresaw."""
    return _without_hits(
        accepted,
        Status.ERROR,
        SearchError(code="processing_error", message=f"a fault of the searcher: {kind}"),
    )


def too_large(response: SearchResponse, *, size: int, limit: int, topic: str) -> SearchResponse:
    """Return what is written in place of an answer that the topic would not take."""
    message = f"the answer has {size} bytes, {topic} takes {limit}: ask for fewer hits"
    return _instead(response, SearchError(code="response_too_large", message=message))


def not_taken(response: SearchResponse, *, topic: str, kind: str) -> SearchResponse:
    """Return what is written on the default topic in place of an answer.

    One that an allowed reply topic did not take.
    """
    return _instead(
        response, SearchError(code="reply_topic", message=f"{topic} did not take the answer ({kind})")
    )


def _without_hits(accepted: Accepted, status: Status, error: SearchError) -> SearchResponse:
    return SearchResponse(
        request_id=accepted.request.request_id, query_id=accepted.request.query_id, status=status, error=error
    )


def _instead(response: SearchResponse, error: SearchError) -> SearchResponse:
    return response.model_copy(update={"status": Status.ERROR, "hits": [], "error": error})
