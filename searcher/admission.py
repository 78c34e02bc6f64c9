"""Which requests wait for their turn, and which are answered at once: bad, expired, come again, or too many.

For one thread. It knows what was read under this assignment of partitions, what of it is in hand, and how far
it is done. It reads and writes nothing: the caller writes the replies that it returns, and says when that is
done. Times are epoch milliseconds.
A picture is prepared beside all else: its request waits for that in one line, and for its turn in the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from broker.guarding import judged
from broker.records import Record
from schemas.rejections import Rejection
from schemas.search import SearchResponse
from searcher.batching import Memory
from searcher.clocks import skew_ms
from searcher.costing import CostRate, cost_of
from searcher.endings import expired, overloaded
from searcher.metrics import OVERLOADED, REPEATED, SKEWED, WAITING
from searcher.progress import Progress
from searcher.replying import Reply
from searcher.requests import Accepted, BadRequest, read, refused_for_a_fault
from searcher.waiting import Waiting, WaitingRequest

REMEMBERED = 50_000
MOST_WAITING, WAITING_BYTES = 2_000, 32 << 20
MOST_PICTURES, PICTURES_BYTES = 200, 16 << 20  # of requests whose picture is not prepared yet
BATCH_COST = 2.0  # of an ordinary search, for each request that a batch may have

_Position = tuple[int, int, int]


class Admission:
    """The requests of one group member, from the log to their turn.

    ``reply_topics`` are those they may name, with their partitions.
    """

    def __init__(
        self,
        reply_topics: Mapping[str, int],
        default: str,
        deployment: str,
        *,
        refuse: Callable[[BadRequest], list[Reply]],
        most: int = MOST_WAITING,
        most_bytes: int = WAITING_BYTES,
    ) -> None:
        """``refuse`` says what a bad request is told."""
        self.pace = CostRate()
        self._reply_topics = reply_topics
        self._default = default
        self._deployment = deployment
        self._refuse = refuse
        self._waiting = Waiting(most, most_bytes)
        self._unprepared = Waiting(MOST_PICTURES, PICTURES_BYTES)
        self._preparing: Accepted | None = None
        self._progress = Progress()
        self._known = Memory(REMEMBERED)
        self._in_hand: set[_Position] = set()

    def begin(self) -> None:
        """Forget what was read under an earlier assignment.

        Under the new one it is read again, from the commit.
        """
        self._waiting.clear()
        self._unprepared.clear()
        self._preparing = None
        self._progress = Progress()

    def take_in(self, record: Record, *, now_ms: float, read_up_ms: float | None) -> list[Reply]:
        """Let a request wait for its turn, or return what is answered at once.

        To this one, and to those that it pushes out. ``read_up_ms`` is when nothing was left to read, the
        last time before this record.
        """
        self._progress.read(record)
        position = _position(record)
        if position in self._known:
            REPEATED.inc()
            if position not in self._in_hand:
                self._progress.done(record)
            return []
        read_as = self._read(record)
        if isinstance(read_as, Accepted) and read_as.request.deployment not in {None, self._deployment}:
            self._progress.done(record)  # the searchers of that one answer it
            return []
        return self._held(self._judged(read_as, now_ms, read_up_ms))

    def next_picture(self) -> Accepted | None:
        """Return the request whose picture is prepared next; None when none waits for that."""
        taken = self._unprepared.take(1, 1.0, heavy_too=True)
        self._preparing = taken[0].accepted if taken else None
        return self._preparing

    def prepared(self, found: bytes | SearchResponse, *, now_ms: float) -> list[Reply]:
        """Let the request of ``next_picture`` wait for its turn with its prepared picture.

        Return what is answered at once: what was found in place of a picture, or as ``take_in`` does. Nothing
        for a request that is read again under another assignment.
        """
        one, self._preparing = self._preparing, None
        if one is None:
            return []
        if not isinstance(found, bytes):
            return self._held([Reply(one, found)])
        ready = replace(one, request=one.request.model_copy(update={"image": found}))
        return self._held(self._let_wait(self._waiting, ready, now_ms))

    def take(self, most: int, *, heavy_too: bool) -> list[WaitingRequest]:
        """Return whose turn it is, at most ``most``; nothing when nothing waits."""
        taken = self._waiting.take(most, most * BATCH_COST, heavy_too=heavy_too)
        for one in taken:
            self._hold(one.accepted.record)
        self._count()
        return taken

    def late(self, *, now_ms: float) -> list[Reply]:
        """Return the answers to those that have waited too long, whose turn then does not come."""
        replies = [
            Reply(a.accepted, expired(a.accepted, now_ms=now_ms, skew_ms=0.0))
            for a in [*self._waiting.late(now_ms), *self._unprepared.late(now_ms)]
        ]
        return self._held(replies)

    def done(self, replies: Sequence[Reply]) -> None:
        """Note that these have been written."""
        for one in replies:
            self._in_hand.discard(_position(one.to.record))
            self._progress.done(one.to.record)

    def committable(self) -> list[Record]:
        """Return, and forget, the records up to which all is done."""
        return self._progress.committable()

    def _read(self, record: Record) -> Accepted | BadRequest:
        found = judged(lambda r: read(r, self._reply_topics, self._default), record)
        return (
            refused_for_a_fault(record, found.problems[0].message, self._default)
            if isinstance(found, Rejection)
            else found
        )

    def _judged(self, one: Accepted | BadRequest, now_ms: float, read_up_ms: float | None) -> list[Reply]:
        if isinstance(one, BadRequest):
            return self._refuse(one)
        skew = skew_ms(one.sent_ms, read_up_ms=read_up_ms, now_ms=now_ms)
        if skew:
            SKEWED.labels("behind" if skew < 0 else "ahead").inc()
        if one.remaining_ms(now_ms) <= 0:
            return [Reply(one, expired(one, now_ms=now_ms, skew_ms=skew))]
        return self._let_wait(self._waiting if one.request.image is None else self._unprepared, one, now_ms)

    def _let_wait(self, line: Waiting, one: Accepted, now_ms: float) -> list[Reply]:
        """Put a request into a line; return what those are told that have no place there, or would expire."""
        asked = WaitingRequest(one, cost_of(one.request))
        wait_s = self._waiting.ahead(asked) * self.pace.unit_s
        over = [asked] if wait_s * 1000 > one.remaining_ms(now_ms) else line.add(asked)
        OVERLOADED.inc(len(over))
        return [Reply(late.accepted, overloaded(late.accepted, wait_s=wait_s)) for late in over]

    def _held(self, replies: list[Reply]) -> list[Reply]:
        """Return replies that are on their way from now on."""
        for one in replies:
            self._hold(one.to.record)
        self._count()
        return replies

    def _count(self) -> None:
        WAITING.set(len(self._waiting) + len(self._unprepared) + (self._preparing is not None))

    def _hold(self, record: Record) -> None:
        """Note that the answer to a record is on its way.

        Read again meanwhile, it is not done before that.
        """
        self._known.add(_position(record))
        self._in_hand.add(_position(record))


def _position(record: Record) -> _Position:
    return (record.partition, record.offset, record.timestamp_ms)
