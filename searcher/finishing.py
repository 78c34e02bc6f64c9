"""The end of a request.

Its answer and what was shown are written, and what is done without a gap is committed. Answers to further
topics, which are not ours, are written beside: one that hangs keeps nobody else from being read, searched or
answered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from broker.records import Outgoing, Record
from process.spans import Spans
from searcher.admission import Admission
from searcher.metrics import UNANSWERABLE
from searcher.replying import Replies, Reply
from searcher.requests import Accepted
from searcher.shown import search_event
from searcher.spanning import spans_of


class Finishing:
    """Finishes the requests of one group member, which may end in any order.

    ``show`` writes events of searches, each with its key, and ``commit`` says that records, and all before
    them, are done.
    """

    def __init__(
        self,
        admission: Admission,
        replies: Replies,
        *,
        show: Callable[[Sequence[Outgoing]], Awaitable[object]],
        searches: str | None,
        seal_key: bytes,
        commit: Callable[[list[Record]], Awaitable[object]],
        spans: Spans | None = None,
    ) -> None:
        """``searches`` is the topic of what was shown, ``spans`` where spans are told; None: it is not."""
        self._admission = admission
        self._replies = replies
        self._show = show
        self._searches = searches
        self._seal_key = seal_key
        self._commit = commit
        self._spans = spans
        self._beside: set[asyncio.Task[None]] = set()

    async def finish(self, replies: Sequence[Reply]) -> None:
        """Write the answers and what was shown, then commit what is done without a gap.

        Raises what one written beside has raised.
        """
        for ended in [one for one in self._beside if one.done()]:
            self._beside.remove(ended)
            ended.result()
        if further := [one for one in replies if self._replies.goes_further(one)]:
            self._beside.add(asyncio.create_task(self._end(further)))
        await self._end([one for one in replies if not self._replies.goes_further(one)])

    async def rest(self) -> None:
        """Wait for what is still written beside; raises as ``finish`` does."""
        await asyncio.gather(*self._beside)

    async def _end(self, replies: Sequence[Reply]) -> None:
        if replies:
            answerable = [one for one in replies if isinstance(one.to, Accepted) or one.to.answerable]
            UNANSWERABLE.inc(len(replies) - len(answerable))
            writing_ms = time.time() * 1000
            await asyncio.gather(self._replies.write(answerable), self._show(self._shown(replies)))
            self._admission.done(replies)
            self._tell(answerable, writing_ms)
        if done := self._admission.committable():
            await self._commit(done)

    def _tell(self, replies: Sequence[Reply], writing_ms: float) -> None:
        if self._spans is None:
            return
        written_ms = time.time() * 1000
        for one in replies:
            parent = next((value.decode() for _, value in one.to.address.trace if value), None)
            self._spans.tell(parent, *spans_of(one, writing_ms=writing_ms, written_ms=written_ms))

    def _shown(self, replies: Sequence[Reply]) -> list[Outgoing]:
        if self._searches is None:
            return []
        events = []
        for one in replies:
            if isinstance(one.to, Accepted) and not one.again:
                now_ms = int(time.time() * 1000)
                # A client's clock may be ahead
                at_ms = min(now_ms, one.to.sent_ms if one.to.sent_ms is not None else now_ms)
                event = search_event(one.to.request, one.response, at_ms=at_ms, key=self._seal_key)
                if event is not None:
                    key, trace = event.query_id.encode(), one.to.address.trace
                    events.append(Outgoing(self._searches, event.to_json(), key=key, headers=trace))
        return events
