"""The loop of a searcher.

Requests in, exactly one answer each out, what was shown on ``searches``, then the commit. At least once:
after a crash a request that was answered but not committed comes again and is answered again, by the same id.
Within one process a record that is read again gets no second answer, and a request that is sent again gets
the same one.

Requests are read as they come and wait here, for a fair share and not for their turn in the log
(``waiting``); one that would expire before its turn is told at once. While batches are searched and written,
the next is encoded: it is put together when the encoder is free and not before, so that it holds all that has
come by then. Batches end in any order; what is committed is done without a gap.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import structlog

from broker.consuming import Assignment, GroupConsumer
from broker.guarding import judged
from broker.producing import Producer
from process.spans import Spans
from retrieval.live import Live
from retrieval.merchandising import RuleSet
from retrieval.release import LoadedRelease
from schemas.rejections import Rejection
from schemas.search import SearchResponse, Timings
from schemas.settings import SearcherSettings
from schemas.topics import SEARCH_RESPONSES, SEARCHES
from searcher.admission import Admission
from searcher.answered import RecentAnswers, same
from searcher.answering import Answered, answer
from searcher.comparing import Held, nothing_else
from searcher.costing import heavy
from searcher.counting import Counts
from searcher.endings import expired, failed, overloaded, rejected
from searcher.exploring import Explorer
from searcher.finishing import Finishing
from searcher.metrics import AGAIN, BATCH_SIZE
from searcher.preparing import Preparing
from searcher.recent import Recent
from searcher.refusing import note_refusal
from searcher.replying import Replies, Reply
from searcher.requests import Accepted, BadRequest
from searcher.shown import query_id_of
from searcher.waiting import WaitingRequest

log = structlog.get_logger(__name__)

ANSWERS, ANSWERS_BYTES = 20_000, 32 << 20
SENT_AGAIN = 100  # sendings of one request that may wait for its first answer
POLL_MS = 200
READ = 64
BATCHES = 3  # one is encoded, one searched, one written
MIN_SEARCH_S = 0.5
MAX_SEARCH_S = 10.0


class Server:
    """Answers the requests of one group member. Run ``serve`` as one task, after a first release is live."""

    def __init__(
        self,
        settings: SearcherSettings,
        live: Live[LoadedRelease],
        rules: RuleSet,
        recent: Recent,
        counts: Counts,
        group: GroupConsumer,
        producer: Producer,
        replies: Replies,
        reply_topics: dict[str, int],
        executor: Executor,
        seal_key: bytes,
        explorer: Explorer | None = None,
        held: Held = nothing_else,
        spans: Spans | None = None,
    ) -> None:
        """``reply_topics`` are those that a request may name, with their partitions.

        ``held``: the releases that one may compare with what serves.
        """
        self._settings = settings
        self._live = live
        self._rules = rules
        self._explorer = explorer
        self._held = held
        self._recent = recent
        self._counts = counts
        self._group = group
        self._executor = executor
        self._admission = Admission(
            reply_topics, settings.topic(SEARCH_RESPONSES.name), settings.deployment, refuse=self._rejected
        )
        self._finishing = Finishing(
            self._admission,
            replies,
            show=producer.send_all,
            searches=settings.topic(SEARCHES.name) if settings.emit_searches else None,
            seal_key=seal_key,
            commit=group.commit,
            spans=spans,
        )
        self._assignment: Assignment | None = None
        self._read_up_ms: float | None = None
        self._answered = RecentAnswers(ANSWERS, ANSWERS_BYTES)
        self._searching: dict[object, list[Accepted]] = {}
        self._heavy = False
        self._stirred = asyncio.Event()
        self._preparing = Preparing(self._admission, finish=self._finishing.finish, ready=self._stirred.set)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set, and finish the open batches.

        What was read ahead is left to the next member. Raises ``KafkaError`` when the broker is gone for
        good.
        """
        open_batches: set[asyncio.Task[None]] = set()
        works = (self._read_on(), self._preparing.run(), self._finishing.commit_on())
        beside = [asyncio.create_task(work) for work in works]
        try:
            while not (stopping.is_set() or any(task.done() for task in beside)):
                for ended in {batch for batch in open_batches if batch.done()}:
                    open_batches.remove(ended)
                    ended.result()
                if len(open_batches) == BATCHES:
                    await asyncio.wait(open_batches, return_when=asyncio.FIRST_COMPLETED)
                elif asked := await self._next():
                    encoded = asyncio.Event()
                    open_batches.add(asyncio.create_task(self._serve_batch(asked, encoded)))
                    await encoded.wait()
        finally:
            for task in beside:
                task.cancel()
            results = await asyncio.gather(*beside, *open_batches, return_exceptions=True)
            results += await asyncio.gather(self._finishing.rest(), return_exceptions=True)
        for fault in results:
            if isinstance(fault, Exception):
                raise fault

    async def _read_on(self) -> None:
        while True:
            records = await self._group.batch(timeout_ms=POLL_MS, max_records=READ)
            self._renew()
            now_ms, read_up_ms = time.time() * 1000, self._read_up_ms
            late = self._admission.late(now_ms=now_ms)
            taken = [
                r
                for record in records
                for r in self._admission.take_in(record, now_ms=now_ms, read_up_ms=read_up_ms)
            ]
            await self._finishing.finish([*late, *taken])
            self._read_up_ms = await self._group.read_up_ms() or self._read_up_ms
            self._preparing.look()
            self._stirred.set()

    @staticmethod
    def _rejected(refused: BadRequest) -> list[Reply]:
        note_refusal(refused)
        return [Reply(refused, rejected(refused))]

    def _renew(self) -> None:
        if self._group.assignment() is not self._assignment:
            self._assignment = self._group.assignment()
            self._admission.begin()
            self._read_up_ms = None

    async def _next(self) -> list[WaitingRequest]:
        """Return the next batch, once there is one.

        Nothing when nothing comes for a while, or while partitions move.
        """
        try:
            async with asyncio.timeout(POLL_MS / 1000):
                while True:
                    await self._group.settled()
                    self._renew()
                    self._stirred.clear()
                    if asked := self._admission.take(self._settings.batch_max, heavy_too=not self._heavy):
                        return asked
                    await self._stirred.wait()
        except TimeoutError:
            return []

    async def _serve_batch(self, asked: list[WaitingRequest], encoded: asyncio.Event) -> None:
        alone = heavy(asked[0].cost)
        self._heavy = self._heavy or alone
        try:
            replies = await self._replies(asked, encoded)
        finally:
            encoded.set()
            if alone:
                self._heavy = False
            self._stirred.set()
        await self._finishing.finish(replies)

    async def _replies(self, asked: Sequence[WaitingRequest], encoded: asyncio.Event) -> list[Reply]:
        now_ms = time.time() * 1000
        fresh: list[WaitingRequest] = []
        replies: list[Reply] = []
        for waited in asked:
            one = waited.accepted
            key = same(one.request)
            if known := self._answered.get(key, now=time.monotonic()):
                AGAIN.inc()
                replies.append(Reply(one, *known, again=True))
            elif one.remaining_ms(now_ms) <= 0:
                replies.append(Reply(one, expired(one, now_ms=now_ms, skew_ms=0.0)))
            elif key not in self._searching:
                self._searching[key] = []
                fresh.append(waited)
            elif len(self._searching[key]) < SENT_AGAIN:
                self._searching[key].append(one)
            else:
                replies.append(Reply(one, overloaded(one, wait_s=0.0)))
        if fresh:
            cost, started = sum(a.cost for a in fresh), time.monotonic()
            replies += await self._searched([a.accepted for a in fresh], now_ms, encoded)
            self._admission.pace.note(cost, started, time.monotonic())
        return replies

    async def _searched(
        self, fresh: Sequence[Accepted], now_ms: float, encoded: asyncio.Event
    ) -> list[Reply]:
        BATCH_SIZE.observe(len(fresh))
        patience_s = max(a.remaining_ms(now_ms) for a in fresh) / 1000
        timeout_s = min(MAX_SEARCH_S, max(MIN_SEARCH_S, patience_s))
        loop = asyncio.get_running_loop()
        free = partial(loop.call_soon_threadsafe, encoded.set)
        answers = await loop.run_in_executor(self._executor, self._answer, fresh, timeout_s, free)
        replies = []
        for one, answered in zip(fresh, answers, strict=True):
            timed = _timed(one, answered.response, now_ms)
            raw, key = timed.to_json(), same(one.request)
            replies.append(Reply(one, timed, raw))
            for again in self._searching.pop(key):
                AGAIN.inc()
                replies.append(Reply(again, timed, raw, again=True))
            self._answered.add(key, timed, raw, now=time.monotonic())
            self._counts.add(timed, one.request, found=answered.found)
        return replies

    def _answer(
        self, fresh: Sequence[Accepted], timeout_s: float, encoded: Callable[[], object]
    ) -> list[Answered]:
        """Search a batch; one that fails in a way that nobody foresaw is searched one by one.

        So no other is lost by it.
        """
        for one in fresh:
            self._recent.add(one.request)
        found = self._tried(fresh, timeout_s, encoded)
        if not isinstance(found, Rejection):
            return found
        singly = [self._tried([one], timeout_s, encoded) for one in fresh]
        return [
            Answered(failed(one, r.problems[0].message), found=False) if isinstance(r, Rejection) else r[0]
            for one, r in zip(fresh, singly, strict=True)
        ]

    def _tried(
        self, fresh: Sequence[Accepted], timeout_s: float, encoded: Callable[[], object]
    ) -> list[Answered] | Rejection:
        requests = [one.request for one in fresh]
        return judged(
            lambda _: answer(
                self._live,
                requests,
                timeout_s=timeout_s,
                encoded=encoded,
                rules=self._rules,
                explorer=self._explorer,
                held=self._held,
            ),
            fresh[0].record,
        )


def _timed(accepted: Accepted, response: SearchResponse, started_ms: float) -> SearchResponse:
    sent_ms = started_ms if accepted.sent_ms is None else min(started_ms, accepted.sent_ms)
    timings = Timings(
        queue_ms=round(started_ms - sent_ms, 3),
        embed_ms=response.timings.embed_ms,
        search_ms=response.timings.search_ms,
        index_ms=response.timings.index_ms,
        total_ms=round(time.time() * 1000 - sent_ms, 3),
    )
    return response.model_copy(update={"timings": timings, "query_id": query_id_of(accepted.request)})
