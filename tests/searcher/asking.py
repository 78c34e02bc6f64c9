"""Records of ``search-requests`` and what they are read as, for tests that need no broker."""

import itertools

from broker.records import Headers, Record
from schemas.search import SearchRequest
from searcher.costing import cost_of
from searcher.requests import Accepted, read
from searcher.waiting import WaitingRequest

NOW_MS = 1_000_000
_numbers = itertools.count()


def record(
    request_id: str = "r", *, at_ms: int = NOW_MS, headers: Headers = (), partition: int = 0, **fields: object
) -> Record:
    body = SearchRequest.model_validate({"request_id": request_id, "user_query": "tv", **fields})
    return Record("requests", partition, next(_numbers), at_ms, request_id.encode(), body.to_json(), headers)


def asked(request_id: str = "r", cost: float | None = None, **fields: object) -> WaitingRequest:
    accepted = read(record(request_id, **fields), {"answers": 1}, "answers")  # type: ignore[arg-type]
    assert isinstance(accepted, Accepted)
    return WaitingRequest(accepted, cost_of(accepted.request) if cost is None else cost)
