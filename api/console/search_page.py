"""A search of the console: asked as any client asks, of what serves and of what is beside it."""

import asyncio
import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api.bodies import HttpFault
from api.console.console_pages import shell_word
from api.console.side_by_side import DEPTH, NAMES, SHOWN, AnswerShown, side_by_side
from api.known_pictures import KnownPictures
from api.search_forms import request_of
from api.searching import Searching
from operations.conditions import ConditionError, condition
from schemas.search import LIVE, Facet, RankingAsked, SearchRequest, SearchResponse

FACETS = ("brand", "category", "availability")


@dataclass(frozen=True)
class SearchTold:
    """What came of a search: answers, what serves first, or why there is none; how it is asked elsewhere.

    ``pictures``: the keys of prepared pictures of products in it, by product.
    """

    answers: Sequence[AnswerShown]
    facets: Sequence[Facet]
    fault: str | None
    body: dict[str, object]
    pictures: Mapping[str, str] = field(default_factory=dict)


class ConsoleSearch:
    """Asks over the request topic."""

    def __init__(self, searching: Searching, pictured: KnownPictures) -> None:
        self._searching = searching
        self._pictured = pictured

    async def answer(self, asked: Mapping[str, str], picture: bytes = b"") -> SearchTold:
        """Return what comes of the fields of the form.

        They are ``q``, ``where`` (a condition a line), ``sort`` and ``alone`` (``yes``: nothing beside what
        serves), and perhaps a picture's file.
        """
        fields: dict[str, object] = {"user_query": asked.get("q", ""), "k": SHOWN, "explain": True}
        try:
            lines = [line for line in asked.get("where", "").splitlines() if line.strip()]
            if lines:
                fields["filters"] = [condition(line).model_dump() for line in lines]
        except ConditionError as error:
            return SearchTold([], [], str(error), fields)
        if asked.get("sort"):
            fields["sort"] = asked["sort"]
        pictured = {"image": base64.b64encode(picture).decode()} if picture else {}
        rankings: list[RankingAsked] = [LIVE] if asked.get("alone") == "yes" else list(NAMES)
        requests = [_request(fields | pictured, ranking) for ranking in rankings]
        good = [one for one in requests if isinstance(one, SearchRequest)]
        if len(good) < len(requests):
            wrong = next(one for one in requests if isinstance(one, HttpFault))
            return SearchTold([], [], wrong.message, fields)
        said = await asyncio.gather(*[self._ask(one) for one in good])
        answers = {ranking: response for ranking, (response, _) in zip(rankings, said, strict=True)}
        took_ms = {ranking: ms for ranking, (_, ms) in zip(rankings, said, strict=True)}
        shown = side_by_side(answers, took_ms)
        pictures = await self._pictured.of({one.hit.product_id for answer in shown for one in answer.hits})
        return SearchTold(shown, answers[LIVE].facets, None, fields, pictures)

    async def _ask(self, request: SearchRequest) -> tuple[SearchResponse, float]:
        started = time.perf_counter()
        said = await self._searching.answer(request)
        return SearchResponse.from_json(said.body), (time.perf_counter() - started) * 1000


def command_line(asked: Mapping[str, str], *, pictured: bool, ranking: str = LIVE) -> str:
    """Return how the same search is asked on a command line; the picture's file has no name here."""
    words = ["searchloop", "search", "--explain"]
    words += ["--ranking", ranking] if ranking != LIVE else []
    words += ["--image", "FILE"] if pictured else []
    for line in filter(str.strip, asked.get("where", "").splitlines()):
        words += ["--where", line]
    words += ["--sort", asked["sort"]] if asked.get("sort") else []
    return " ".join(map(shell_word, [*words, "--", asked.get("q", "")]))


def _request(fields: Mapping[str, object], ranking: RankingAsked) -> SearchRequest | HttpFault:
    more = {"facets": list(FACETS), "k": DEPTH} if ranking == LIVE else {}
    return request_of({"request_id": uuid.uuid4().hex, "ranking": ranking, **fields, **more})
