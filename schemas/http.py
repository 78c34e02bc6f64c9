"""What the HTTP API takes and says beside the messages of the topics."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Fact
from schemas.bounds import SEARCH_BATCH
from schemas.search import SearchError, SearchRequest, SearchResponse


class ApiError(Fact):
    """Why a request was not worked on, where its route has no form of its own for that."""

    error: SearchError


class SearchBatch(Fact):
    """Several searches in one request. Those without ``request_id`` get one."""

    requests: Annotated[list[SearchRequest], Field(min_length=1, max_length=SEARCH_BATCH)]


class SearchBatchAnswer(Fact):
    """The answers to a batch, in the order of its requests, each with its own status."""

    responses: list[SearchResponse]


class FieldError(Fact):
    """One fault of a record: where, and in words. Never holds the value itself."""

    loc: str
    message: str


class RecordResult(Fact):
    """What became of one posted record.

    ``refused`` with the reason and the errors that its dead letter would have; ``ignored``: good, and of no
    use, and why. ``event_id`` is absent where the record has none: sent again it counts again.
    """

    index: int
    status: Literal["accepted", "refused", "ignored"]
    event_id: str | None = None
    product_id: str | None = None
    reason: str | None = None
    errors: list[FieldError] = Field(default_factory=list)  # of a default in place a copy is made each time


class RecordsAnswer(Fact):
    """What became of the records of a request, in their order. The accepted ones are on the broker."""

    accepted: int
    refused: int
    ignored: int
    results: list[RecordResult]
