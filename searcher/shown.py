"""What a search showed, as an event of the topic ``searches``: the start of the next lesson. Pure."""

import uuid
from datetime import UTC, datetime

from retrieval.seal import seal
from schemas.bounds import SHOWN_IDS
from schemas.events import Hit, Search
from schemas.search import SearchRequest, SearchResponse, Status

_NAMESPACE = uuid.UUID("6e0f6f0c-5f0b-5a53-9d55-3a2c1a1f7a10")
APPLICATION = "searchloop"


def query_id_of(request: SearchRequest) -> str | None:
    """Return the id that ties clicks to this search.

    The client's, or one made from the request id when a shopper is named. None for an anonymous request, for
    a picture alone and for a comparison, from which nothing can be learnt. A request that comes again gets
    the same id.
    """
    if request.compares:
        return None
    if request.query_id is not None:
        return request.query_id
    if request.user_query and (request.client_id or request.session_id or request.user_id):
        return str(uuid.uuid5(_NAMESPACE, f"query:{request.request_id}"))
    return None


def search_event(
    request: SearchRequest, response: SearchResponse, *, at_ms: int, key: bytes
) -> Search | None:
    """Return the event; None for an answer without result or shopper, to a picture alone, or for comparison.

    ``at_ms`` is epoch milliseconds, ``key`` the seal's. Its event id comes from the request id: when an
    answer is written twice after a crash, intake counts the search once.
    """
    if response.status not in {Status.OK, Status.PARTIAL} or response.query_id is None:
        return None
    if not request.user_query or request.compares:  # what is learnt is by text, and from what serves
        return None
    return Search(
        event_id=str(uuid.uuid5(_NAMESPACE, f"search:{request.request_id}")),
        timestamp=datetime.fromtimestamp(at_ms / 1000, UTC),
        application=APPLICATION,
        client_id=request.client_id,
        session_id=request.session_id,
        user_id=request.user_id,
        query_id=response.query_id,
        user_query=request.user_query,
        hits=[
            Hit(object_id=h.product_id, rank=h.rank, score=h.score, explored=h.explored)
            for h in response.hits[:SHOWN_IDS]
        ],
        placed=[
            h.product_id
            for h in response.hits[:SHOWN_IDS]
            if (h.rule is not None and h.rule.placed) or h.explored is not None
        ],
        generation=response.generation,
        seal=seal(key, response.query_id, response.generation) if response.generation is not None else None,
    )
