"""The end of a request.

Its answer and what was shown are written, and what is done without a gap is committed. Answers to further
topics, which are not ours, are written beside: one that hangs keeps nobody else from being read, searched or
answered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from broker.records import Outgoing, Record
from searcher.admission import Admission
from searcher.metrics import UNANSWERABLE
from searcher.replying import Replies, Reply
from searcher.requests import Accepted
from searcher.shown import search_event


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
    ) -> None:
        """``searches`` is the topic of what was shown; None: it is not told."""
        self._admission = admission
        self._replies = replies
        self._show = show
        self._searches = searches
        self._seal_key = seal_key
        self._commit = commit
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
            await asyncio.gather(self._replies.write(answerable), self._show(self._shown(replies)))
            self._admission.done(replies)
        if done := self._admission.committable():
            await self._commit(done)

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
                    events.append(Outgoing(self._searches, event.to_json(), key=event.query_id.encode()))
        return events
