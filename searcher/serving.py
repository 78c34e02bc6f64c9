"""The loop of a searcher: a batch of requests in, exactly one answer each out, what was shown on ``searches``, then the commit.

At least once: after a crash a request that was answered but not committed comes again and is answered again, by the same id.
Within one process a request that comes again gets no second answer. While batches are searched and written, the next is encoded: it is
put together when the encoder is free and not before, so that it holds all that has come by then. Requests are read ahead of that, since
a broker that waits for one partition's records hands out those of no other.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import structlog

from broker.consuming import Assignment, GroupConsumer
from broker.guarding import judged
from broker.producing import Producer
from broker.records import Outgoing, Record
from retrieval.live import Live
from retrieval.release import LoadedRelease
from schemas.rejections import Rejection
from schemas.search import SearchError, SearchResponse, Status, Timings
from schemas.settings import SearcherSettings
from schemas.topics import SEARCH_RESPONSES, SEARCHES
from searcher.answering import answer
from searcher.batching import Memory
from searcher.counting import Counts
from searcher.metrics import ANSWERS, BATCH_SIZE, REPEATED, TOTAL_SECONDS, UNANSWERABLE
from searcher.recent import Recent
from searcher.requests import Accepted, Refused, read, refused_for_a_fault
from searcher.shown import query_id_of, search_event

log = structlog.get_logger(__name__)

REMEMBERED = 50_000
POLL_MS = 200
BATCHES = 3  # one is encoded, one searched, one written
MIN_SEARCH_S = 0.5
MAX_SEARCH_S = 10.0


@dataclass(frozen=True)
class Reply:
    """One answer on its way, and the request it is for (None where the request could not be read)."""

    to: Accepted | Refused
    response: SearchResponse


class Server:
    """Answers the requests of one group member. Run ``serve`` as one task, after a first release is live."""

    def __init__(
        self,
        settings: SearcherSettings,
        live: Live[LoadedRelease],
        recent: Recent,
        counts: Counts,
        group: GroupConsumer,
        producer: Producer,
        executor: Executor,
    ) -> None:
        self._settings = settings
        self._live = live
        self._recent = recent
        self._counts = counts
        self._group = group
        self._producer = producer
        self._executor = executor
        self._positions = Memory(REMEMBERED)
        self._finished = Memory(REMEMBERED)
        self._responses = settings.topic(SEARCH_RESPONSES.name)
        self._reply_topics: dict[str, int] = {}
        self._read: asyncio.Queue[tuple[Assignment, Record]] = asyncio.Queue(BATCHES * settings.batch_max)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set, and finish the open batches; what was read ahead is left to the next member.

        Raises ``KafkaError`` when the broker is gone for good.
        """
        further = [t.strip() for t in self._settings.reply_topics.split(",") if t.strip()]
        self._reply_topics = {topic: await self._producer.partitions(topic) for topic in (self._responses, *further)}
        open_batches: deque[asyncio.Task[None]] = deque()
        reading = asyncio.create_task(self._read_ahead())
        try:
            while not (stopping.is_set() or reading.done()):
                while open_batches and (open_batches[0].done() or len(open_batches) == BATCHES):
                    await open_batches.popleft()
                if records := await self._batch():
                    encoded = asyncio.Event()
                    before = open_batches[-1] if open_batches else None
                    open_batches.append(asyncio.create_task(self._serve_batch(records, before, encoded)))
                    await encoded.wait()
        finally:
            reading.cancel()
            ended = await asyncio.gather(reading, *open_batches, return_exceptions=True)
        for fault in ended:
            if isinstance(fault, Exception):
                raise fault

    async def _read_ahead(self) -> None:
        while True:
            records = await self._group.batch(timeout_ms=POLL_MS, max_records=self._settings.batch_max)
            assignment = self._group.assignment()
            for record in records:
                await self._read.put((assignment, record))

    async def _batch(self) -> list[Record]:
        """Return what was read ahead, up to a batch; nothing when nothing comes for a while, or while partitions move.

        What was read under an earlier assignment is passed over: under this one it was read again, from the commit.
        """
        try:
            async with asyncio.timeout(POLL_MS / 1000):
                await self._group.settled()
                read = [await self._read.get()]
        except TimeoutError:
            return []
        while len(read) < self._settings.batch_max and not self._read.empty():
            read.append(self._read.get_nowait())
        assignment = self._group.assignment()
        return [record for under, record in read if under is assignment]

    async def _serve_batch(self, records: list[Record], before: asyncio.Task[None] | None, encoded: asyncio.Event) -> None:
        """Answer and write one batch, after the one before: offsets are committed in order, and none past a failure."""
        try:
            replies = await self._replies(records, encoded)
        finally:
            encoded.set()
        if before is not None:
            await before
        await self._write(replies, records)

    async def _replies(self, records: Sequence[Record], encoded: asyncio.Event) -> list[Reply]:
        now_ms = time.time() * 1000
        accepted: list[Accepted] = []
        replies: list[Reply] = []
        for record in records:
            read_as = self._read_as(record)
            if self._repeated(read_as):
                REPEATED.inc()
            elif isinstance(read_as, Refused):
                replies += self._rejected(read_as)
            elif read_as.request.deployment not in {None, self._settings.deployment}:
                continue  # the searchers of that one answer it
            elif read_as.remaining_ms(now_ms) <= 0:
                replies.append(Reply(read_as, _expired(read_as)))
            else:
                accepted.append(read_as)
        if accepted:
            BATCH_SIZE.observe(len(accepted))
            patience_s = min(a.remaining_ms(now_ms) for a in accepted) / 1000
            timeout_s = min(MAX_SEARCH_S, max(MIN_SEARCH_S, patience_s))
            loop = asyncio.get_running_loop()
            free = partial(loop.call_soon_threadsafe, encoded.set)
            responses = await loop.run_in_executor(self._executor, self._answer, accepted, timeout_s, free)
            replies += [Reply(a, _timed(a, r, now_ms)) for a, r in zip(accepted, responses, strict=True)]
        for one in replies:
            self._remember(one)
            self._counts.add(one.response, one.to.request if isinstance(one.to, Accepted) else None)
        return replies

    def _answer(self, accepted: Sequence[Accepted], timeout_s: float, encoded: Callable[[], object]) -> list[SearchResponse]:
        for a in accepted:
            self._recent.add(a.request)
        return answer(self._live, [a.request for a in accepted], timeout_s=timeout_s, encoded=encoded)

    def _read_as(self, record: Record) -> Accepted | Refused:
        found = judged(lambda r: read(r, self._reply_topics, self._responses), record)
        return refused_for_a_fault(record, found.problems[0].message, self._responses) if isinstance(found, Rejection) else found

    def _repeated(self, read_as: Accepted | Refused) -> bool:
        if _position(read_as.record) in self._positions:
            return True
        self._positions.add(_position(read_as.record))
        if isinstance(read_as, Refused):
            return False
        if read_as.request.request_id in self._finished:
            return True
        self._finished.add(read_as.request.request_id)
        return False

    def _remember(self, reply: Reply) -> None:
        """Let a client ask again under the same id after an answer that says it may."""
        if reply.response.error is not None and reply.response.error.retryable:
            self._finished.discard(reply.response.request_id)

    @staticmethod
    def _rejected(refused: Refused) -> list[Reply]:
        if not refused.answerable:
            UNANSWERABLE.inc()
            log.warning(
                "bad request without id", partition=refused.record.partition, offset=refused.record.offset, fault=refused.error.code
            )
            return []
        return [Reply(refused, SearchResponse(request_id=refused.request_id or "", status=Status.REJECTED, error=refused.error))]

    async def _write(self, replies: Sequence[Reply], records: list[Record]) -> None:
        answers = []
        for one in replies:
            ANSWERS.labels(one.response.status.value).inc()
            if one.to.sent_ms is not None:
                TOTAL_SECONDS.observe(max(0.0, time.time() - one.to.sent_ms / 1000))
            address = one.to.address
            answers.append(
                Outgoing(
                    address.topic,
                    one.response.to_json(),
                    key=one.response.request_id.encode() or None,
                    partition=address.partition,
                    headers=address.headers,
                )
            )
        await asyncio.gather(self._producer.send_all(answers), self._producer.send_all(self._shown(replies)))
        await self._group.commit(records)

    def _shown(self, replies: Sequence[Reply]) -> list[Outgoing]:
        if not self._settings.emit_searches:
            return []
        topic = self._settings.topic(SEARCHES.name)
        events = []
        for one in replies:
            if isinstance(one.to, Accepted):
                now_ms = int(time.time() * 1000)
                at_ms = min(now_ms, one.to.sent_ms if one.to.sent_ms is not None else now_ms)  # a client's clock may be ahead
                event = search_event(one.to.request, one.response, at_ms=at_ms)
                if event is not None:
                    events.append(Outgoing(topic, event.to_json(), key=event.query_id.encode()))
        return events


def _position(record: Record) -> tuple[int, int, int]:
    return (record.partition, record.offset, record.timestamp_ms)


def _expired(accepted: Accepted) -> SearchResponse:
    message = f"the request waited longer than its timeout of {accepted.request.timeout_ms} ms"
    return SearchResponse(
        request_id=accepted.request.request_id,
        query_id=accepted.request.query_id,
        status=Status.EXPIRED,
        error=SearchError(code="expired", message=message, retryable=True),
    )


def _timed(accepted: Accepted, response: SearchResponse, started_ms: float) -> SearchResponse:
    sent_ms = started_ms if accepted.sent_ms is None else min(started_ms, accepted.sent_ms)
    timings = Timings(
        queue_ms=round(started_ms - sent_ms, 3),
        embed_ms=response.timings.embed_ms,
        search_ms=response.timings.search_ms,
        total_ms=round(time.time() * 1000 - sent_ms, 3),
    )
    return response.model_copy(update={"timings": timings, "query_id": query_id_of(accepted.request)})
