"""One search of the console: asked as any client asks, and told with what each hit is made of."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from api.bodies import HttpFault
from api.console.figures import Share, shares
from api.search_forms import request_of
from api.searching import Searching
from operations.conditions import ConditionError, condition
from schemas.search import ScoredHit, SearchResponse

FACETS = ("brand", "category", "availability")


@dataclass(frozen=True)
class ShownHit:
    """A hit, and its parts drawn side by side."""

    hit: ScoredHit
    pieces: list[Share]


@dataclass(frozen=True)
class SearchTold:
    """What came of a search: an answer, or why there is none; and how it is asked elsewhere."""

    response: SearchResponse | None
    hits: list[ShownHit]
    fault: str | None
    body: dict[str, object]


class ConsoleSearch:
    """Asks over the request topic."""

    def __init__(self, searching: Searching) -> None:
        self._searching = searching

    async def answer(self, asked: Mapping[str, str]) -> SearchTold:
        """Return what comes of the fields of the form: ``q``, ``where`` (a condition a line), ``sort``."""
        fields: dict[str, object] = {
            "user_query": asked["q"],
            "k": 10,
            "explain": True,
            "facets": list(FACETS),
        }
        try:
            lines = [line for line in asked.get("where", "").splitlines() if line.strip()]
            if lines:
                fields["filters"] = [condition(line).model_dump() for line in lines]
        except ConditionError as error:
            return SearchTold(None, [], str(error), fields)
        if asked.get("sort"):
            fields["sort"] = asked["sort"]
        request = request_of({"request_id": uuid.uuid4().hex, **fields})
        if isinstance(request, HttpFault):
            return SearchTold(None, [], request.message, fields)
        said = await self._searching.answer(request)
        response = SearchResponse.from_json(said.body)
        greatest = max((sum((h.parts or {}).values()) for h in response.hits), default=0.0)
        hits = [ShownHit(hit, shares(hit.parts or {}, greatest)) for hit in response.hits]
        fault = response.error.message if response.error else None
        return SearchTold(response, hits, fault, fields)
