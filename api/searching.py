"""Searches over the request topic, each with its deadline, and what is said when there is no answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from api.bodies import BUSY, Capacity, HttpFault
from api.search_codes import code_of, headers_of, unanswered
from broker.errors import BrokerError
from broker.requesting import Requester, UnsentError
from schemas.search import SearchRequest, SearchResponse
from schemas.traceparent import TRACEPARENT

# Beyond a request's own deadline, for the searcher's word that it has passed.
_GRACE_S = 0.1
# In which a picture is held until the answer: its file, and twice its base64 on the way to the broker.
_COPIES = 4


@dataclass(frozen=True)
class HttpAnswer:
    """The one answer to a search: as it is written, the status code, the headers."""

    body: bytes
    code: int
    headers: dict[str, str]


class Searching:
    """Asks and answers.

    ``broker_fault`` says in words why Kafka is not there, ``serves`` whether the deployment has a release.
    """

    def __init__(
        self,
        requester: Requester,
        topic: str,
        capacity: Capacity,
        *,
        broker_fault: Callable[[], str | None],
        serves: Callable[[], bool],
    ) -> None:
        self.capacity = capacity
        self._requester = requester
        self._topic = topic
        self._broker_fault = broker_fault
        self._serves = serves

    async def answer(
        self, asked: SearchRequest | HttpFault, trace: str | None = None, *, public: bool = False
    ) -> HttpAnswer:
        """Return the answer to a request, or to what is wrong with it. Takes a place of its own.

        ``trace`` is the ``traceparent`` by which it is followed; ``public``: asked by a key of pages.
        """
        if isinstance(asked, HttpFault):
            return _told(None, asked)
        place = self.capacity.enter(public=public)
        if place is None:
            return _told(asked, BUSY)
        with place:
            if not place.take(_COPIES * len(asked.image or b"")):
                return _told(asked, BUSY)
            return await self._ask(asked, trace)

    async def _ask(self, request: SearchRequest, trace: str | None) -> HttpAnswer:
        started = time.perf_counter()
        body = await self._reply(request, trace)
        if isinstance(body, HttpFault):
            return _told(request, body)
        try:
            response = SearchResponse.from_json(body)
        except ValidationError:
            return _told(request, HttpFault(502, "unreadable", "what came as an answer is none"))
        took_ms = (time.perf_counter() - started) * 1000
        return HttpAnswer(body, code_of(response), headers_of(response, took_ms))

    async def _reply(self, request: SearchRequest, trace: str | None) -> bytes | HttpFault:
        """Return the answer as a searcher wrote it, or why there is none."""
        if (fault := self._broker_fault()) is not None:
            return _unavailable(fault)
        if request.deployment is None and not self._serves():
            return HttpFault(503, "no_release", "no release serves yet: nothing is indexed", 5000)
        try:
            record = await self._requester.ask(
                self._topic,
                request.to_json(),
                key=request.request_id.encode(),
                timeout_s=request.timeout_ms / 1000 + _GRACE_S,
                headers=((TRACEPARENT, trace.encode()),) if trace else (),
            )
        except UnsentError:
            return _unavailable(f"Kafka did not take the request within {request.timeout_ms} ms")
        except TimeoutError:
            message = f"no answer within {request.timeout_ms} ms: is a searcher running and ready?"
            return HttpFault(504, "expired", message, 1000)
        except BrokerError as error:
            return _unavailable(f"Kafka did not take the request ({type(error).__name__})")
        return record.value or b""


def _told(request: SearchRequest | None, fault: HttpFault) -> HttpAnswer:
    response = unanswered(request, fault)
    headers = headers_of(response, 0.0)
    del headers["Server-Timing"]
    return HttpAnswer(response.to_json(), fault.status, headers)


def _unavailable(message: str) -> HttpFault:
    return HttpFault(503, "unavailable", message, 1000)
