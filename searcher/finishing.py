"""The end of a request.

Its answer and what was shown are written, and what is done without a gap is committed: at once after a rest,
else with all that ends within ``COMMIT_EVERY_S``. Answers to further topics, which are not ours, are written
beside: one that hangs keeps nobody else from being read, searched or answered.
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

COMMIT_EVERY_S = 0.05


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
        self._ended = asyncio.Event()
        self._uncommitted: list[Record] = []

    async def finish(self, replies: Sequence[Reply]) -> None:
        """Write the answers and what was shown. Raises what one written beside has raised."""
        for ended in [one for one in self._beside if one.done()]:
            self._beside.remove(ended)
            ended.result()
        if further := [one for one in replies if self._replies.goes_further(one)]:
            self._beside.add(asyncio.create_task(self._end(further)))
        await self._end([one for one in replies if not self._replies.goes_further(one)])

    async def rest(self) -> None:
        """Wait for what is still written beside, and commit; raises as ``finish`` does."""
        try:
            await asyncio.gather(*self._beside)
        finally:
            await self.commit()

    async def commit_on(self) -> None:
        """Commit what ends, until cancelled. Raises ``KafkaError``."""
        while True:
            await self._ended.wait()
            self._ended.clear()
            await self.commit()
            await asyncio.sleep(COMMIT_EVERY_S)

    async def commit(self) -> None:
        """Commit what is done without a gap; where that is cancelled, the next call does. One at a time."""
        self._uncommitted += self._admission.committable()
        if done := list(self._uncommitted):
            await self._commit(done)
            del self._uncommitted[: len(done)]

    async def _end(self, replies: Sequence[Reply]) -> None:
        if replies:
            answerable = [one for one in replies if isinstance(one.to, Accepted) or one.to.answerable]
            UNANSWERABLE.inc(len(replies) - len(answerable))
            writing_ms = time.time() * 1000
            await asyncio.gather(self._replies.write(answerable), self._show(self._shown(replies)))
            self._admission.done(replies)
            self._tell(answerable, writing_ms)
        self._ended.set()

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
