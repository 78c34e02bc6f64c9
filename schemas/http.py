"""What the HTTP API takes and says beside the messages of the topics."""

from typing import Annotated

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
