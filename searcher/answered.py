"""The last answers, so that a request that comes again gets the same one, and those that are being searched.

For one thread. A request is the same when all but its timeout is: one that only shares its id with an earlier
one is searched for itself. An answer is given again for as long as a client may wait for it, and no longer:
ids that are not unique get fresh answers, too. Times are in seconds.
"""

from collections import OrderedDict
from collections.abc import Hashable

from schemas.bounds import TIMEOUT_MS
from schemas.search import SearchRequest, SearchResponse

MOST_S = TIMEOUT_MS / 1000
# What does not change the answer. A new field of a request does, until it is named here.
_NOT_ASKED = frozenset({"request_id", "timeout_ms", "deployment"})


def same(request: SearchRequest) -> Hashable:
    """Return what two sendings of one request have in common."""
    said = tuple(
        repr(value) if isinstance(value, list) else value for name, value in request if name not in _NOT_ASKED
    )
    return request.request_id, hash(said)


class RecentAnswers:
    """The newest answers with their JSON, ``most`` and ``most_bytes`` together at most.

    None is older than ``MOST_S``; the oldest go first.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._answers: OrderedDict[Hashable, tuple[float, SearchResponse, bytes]] = OrderedDict()

    def get(self, asked: Hashable, *, now: float) -> tuple[SearchResponse, bytes] | None:
        """Return the answer without its hits, and its whole JSON.

        None for what was not answered or is no longer known.
        """
        at, response, raw = self._answers.get(asked, (0.0, None, b""))
        return None if response is None or now - at > MOST_S else (response, raw)

    def add(self, asked: Hashable, response: SearchResponse, raw: bytes, *, now: float) -> None:
        """Remember an answer.

        One that a client may ask for again as not yet given (``retryable``) is not remembered.
        """
        if response.error is not None and response.error.retryable:
            return
        if known := self._answers.pop(asked, None):
            self._bytes -= len(known[2])
        self._answers[asked] = (now, response.model_copy(update={"hits": []}), raw)
        self._bytes += len(raw)
        while len(self._answers) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._answers.popitem(last=False)[1][2])
