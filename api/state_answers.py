"""How a list or a thing that is kept in memory is answered: a page of it, its JSON, and how fresh it is."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.asked_page import AskedPage, asked_page
from api.bodies import HttpFault
from api.following import StateFollower
from api.newest import PAGE, page_of
from api.refusals import JSON, refusal

T = TypeVar("T")
AS_OF = "X-Searchloop-As-Of"
# What is told at once, however many things are asked for: a reader may take its time, and five hundred
# decisions take fifty megabytes.
PAGE_BYTES = 4 << 20
STARTING = HttpFault(503, "starting", "the topics are not read to their end yet", 1000)


def dumped(model: BaseModel) -> bytes:
    """Return the JSON of a model as the verbs print it, with the fields that say nothing."""
    return model.model_dump_json().encode()


class StateAnswers:
    """Answers by what ``follower`` has read; before it has read all there was, 503."""

    def __init__(self, follower: StateFollower) -> None:
        self.follower = follower
        self.state = follower.state

    def asked(
        self, request: Request, others: Collection[str] = (), *, limit: int = PAGE
    ) -> AskedPage | HttpFault:
        """Return which part of a list a request asks for; nothing can be told before all is read."""
        if self.follower.as_of is None:
            return STARTING
        return asked_page(request.query_params.multi_items(), others, limit=limit)

    def listed(
        self,
        asked: AskedPage | HttpFault,
        name: str,
        items: Callable[[], Sequence[T]],
        *,
        id_of: Callable[[T], str],
        dump: Callable[[T], bytes],
        others: Mapping[str, bytes] | None = None,
    ) -> Response:
        """Return the part of a list that is asked for. ``others`` are JSON values beside it, by name."""
        if isinstance(asked, HttpFault):
            return refusal(asked)
        page = page_of(items(), id_of, limit=asked.limit, after=asked.after)
        if isinstance(page, HttpFault):
            return refusal(page)
        found, following = page
        told, size = list[bytes](), 0
        for item in found:
            one = dump(item)
            size += len(one)
            if told and size > PAGE_BYTES:
                following = id_of(found[len(told) - 1])
                break
            told.append(one)
        parts = {name: b"[%b]" % b",".join(told), "next": json.dumps(following).encode()}
        return self.told(b"{%b}" % b",".join(b'"%b":%b' % (n.encode(), v) for n, v in _all(others, parts)))

    def one(self, found: T | None, missing: str, dump: Callable[[T], bytes]) -> Response:
        """Return one thing, or that there is none; ``missing`` says so."""
        if self.follower.as_of is None:
            return refusal(STARTING)
        if found is None:
            return refusal(HttpFault(404, "not_found", missing))
        return self.told(dump(found))

    def told(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return a body with the header that says as of when it holds."""
        as_of = self.follower.as_of
        fresh = {AS_OF: as_of.isoformat(timespec="milliseconds")} if as_of else {}
        return Response(body, status, headers={**fresh, **(headers or {})}, media_type=JSON)


def _all(others: Mapping[str, bytes] | None, parts: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return [*(others or {}).items(), *parts.items()]
