"""A further reply topic that hangs keeps nobody else waiting, and takes no more than its bound."""

import asyncio
from collections.abc import Iterable, Sequence

from broker.foreign import ForeignProducer
from broker.producing import Producer
from broker.records import Outgoing, Record
from process.spans import OpenSpan, SpanTold
from schemas.search import SearchResponse, Status
from searcher.admission import Admission
from searcher.finishing import Finishing
from searcher.replying import MOST_WAITING, Replies, Reply
from searcher.requests import Accepted, BadRequest
from tests.searcher.asking import NOW_MS, record

TOPICS = {"answers": 1, "theirs": 1}


class Ours(Producer):
    """A producer that takes all at once."""

    def __init__(self) -> None:
        self.written: list[Outgoing] = []
        self.wrote = asyncio.Event()

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        self.written += records
        if self.written:
            self.wrote.set()


class Hanging(ForeignProducer):
    """A producer whose topics answer when they are let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.written: list[Outgoing] = []

    async def send_each(self, records: Sequence[Outgoing]) -> list[Exception | None]:
        if records:
            await self.let_go.wait()
        self.written += records
        return [None] * len(records)


class Desk:
    """What finishes requests, and what was read, written and committed."""

    def __init__(self) -> None:
        self.ours, self.theirs = Ours(), Hanging()
        self.committed: list[int] = []
        self.told: list[tuple[str | None, SpanTold, Sequence[SpanTold]]] = []
        self.last = -1
        self.stalled = False
        self.begun = asyncio.Event()  # a commit
        self.admission = Admission(TOPICS, "answers", "main", refuse=self._none)
        replies = Replies(self.ours, self.theirs, "answers", {})
        self.finishing = Finishing(
            self.admission,
            replies,
            show=self.ours.send_all,
            searches="searches",
            seal_key=b"",
            commit=self._committed,
            spans=self,
        )

    def begin(self, parent: str | None) -> OpenSpan:
        raise NotImplementedError

    def tell(self, parent: str | None, whole: SpanTold, parts: Sequence[SpanTold]) -> None:
        self.told.append((parent, whole, parts))

    def close(self) -> None:
        """Nothing waits."""

    @staticmethod
    def _none(_: BadRequest) -> list[Reply]:
        return []

    async def _committed(self, records: list[Record]) -> None:
        self.begun.set()
        if self.stalled:
            await asyncio.Event().wait()
        self.committed += [r.offset for r in records]

    def answered(self, *topics: str) -> list[Reply]:
        """Read a request for each topic, and return the answers to them."""
        for n, topic in enumerate(topics):
            read = record(f"r{n}", headers=(("kafka_replyTopic", topic.encode()),))
            assert self.admission.take_in(read, now_ms=NOW_MS, read_up_ms=None) == []
            self.last = read.offset
        taken: list[Accepted] = []
        while some := self.admission.take(64, heavy_too=True):
            taken += [one.accepted for one in some]
        return [
            Reply(one, SearchResponse(request_id=one.request.request_id, status=Status.OK)) for one in taken
        ]


async def test_a_reply_topic_that_hangs_keeps_no_other_answer_and_no_reading_waiting():
    desk = Desk()
    replies = desk.answered("answers", "theirs", "answers")
    async with asyncio.timeout(60):
        await desk.finishing.finish(replies)
        await desk.finishing.finish(desk.answered("answers"))
        await desk.finishing.commit()
    assert len(desk.ours.written) == 3
    offsets = [one.to.record.offset for one in replies]
    assert desk.committed == offsets[:1], "what hangs is not committed, nor what comes after it"
    desk.theirs.let_go.set()
    await desk.finishing.rest()
    assert len(desk.theirs.written) == 1
    assert desk.committed[-1] > offsets[-1]


async def test_the_trace_of_a_request_is_on_its_answer_and_on_its_search_event_and_told():
    desk = Desk()
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert desk.admission.take_in(record("r1", headers=(trace,)), now_ms=NOW_MS, read_up_ms=None) == []
    (one,) = desk.admission.take(64, heavy_too=True)
    response = SearchResponse(request_id="r1", query_id="q1", status=Status.OK, generation=1)
    await desk.finishing.finish([Reply(one.accepted, response)])
    assert {(out.topic, out.headers) for out in desk.ours.written} == {
        ("answers", (trace,)),
        ("searches", (trace,)),
    }
    ((parent, whole, parts),) = desk.told
    assert (parent, whole.name, [p.name for p in parts]) == (trace[1].decode(), "search", ["reply"])


async def test_what_ends_is_committed_at_once_and_what_ends_soon_after_it_together(monkeypatch):
    monkeypatch.setattr("searcher.finishing.COMMIT_EVERY_S", 3600.0)
    desk = Desk()
    committing = asyncio.create_task(desk.finishing.commit_on())
    async with asyncio.timeout(60):
        await desk.finishing.finish(desk.answered("answers"))
        await desk.begun.wait()
        for _ in range(20):
            await desk.finishing.finish(desk.answered("answers"))
            await asyncio.sleep(0)
    assert len(desk.committed) == 1
    committing.cancel()
    await desk.finishing.rest()
    assert desk.committed[1:] == [desk.last]


async def test_a_commit_that_is_cancelled_is_made_at_the_end():
    desk = Desk()
    desk.stalled = True
    committing = asyncio.create_task(desk.finishing.commit_on())
    async with asyncio.timeout(60):
        await desk.finishing.finish(desk.answered("answers"))
        await desk.begun.wait()
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        assert desk.committed == []
        desk.stalled = False
        await desk.finishing.rest()
    assert desk.committed == [desk.last]


async def test_what_one_further_topic_keeps_waiting_is_bounded():
    desk = Desk()
    async with asyncio.timeout(60):
        await desk.finishing.finish(desk.answered(*["theirs"] * MOST_WAITING))
        await asyncio.sleep(0)
        await desk.finishing.finish(desk.answered("theirs"))
        await desk.ours.wrote.wait()
    (instead,) = desk.ours.written
    error = SearchResponse.from_json(instead.value or b"").error
    assert (instead.topic, error.code if error else None) == ("answers", "reply_topic")
    desk.theirs.let_go.set()
    await desk.finishing.rest()
    await desk.finishing.finish(desk.answered("theirs"))
    await desk.finishing.rest()
    assert len(desk.theirs.written) == MOST_WAITING + 1
