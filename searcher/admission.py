"""Which requests wait for their turn, and which are answered at once: bad, expired, come again, or too many.

For one thread. It knows what was read under this assignment of partitions, what of it is in hand, and how far
it is done. It reads and writes nothing: the caller writes the replies that it returns, and says when that is
done. Times are epoch milliseconds.
"""

from collections.abc import Callable, Mapping, Sequence

from broker.guarding import judged
from broker.records import Record
from schemas.rejections import Rejection
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
        self._progress = Progress()
        self._known = Memory(REMEMBERED)
        self._in_hand: set[_Position] = set()

    def begin(self) -> None:
        """Forget what was read under an earlier assignment.

        Under the new one it is read again, from the commit.
        """
        self._waiting.clear()
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
        replies = self._judged(read_as, now_ms, read_up_ms)
        for one in replies:
            self._hold(one.to.record)
        WAITING.set(len(self._waiting))
        return replies

    def take(self, most: int, *, heavy_too: bool) -> list[WaitingRequest]:
        """Return whose turn it is, at most ``most``; nothing when nothing waits."""
        taken = self._waiting.take(most, most * BATCH_COST, heavy_too=heavy_too)
        for one in taken:
            self._hold(one.accepted.record)
        WAITING.set(len(self._waiting))
        return taken

    def late(self, *, now_ms: float) -> list[Reply]:
        """Return the answers to those that have waited too long, whose turn then does not come."""
        replies = [
            Reply(a.accepted, expired(a.accepted, now_ms=now_ms, skew_ms=0.0))
            for a in self._waiting.late(now_ms)
        ]
        for one in replies:
            self._hold(one.to.record)
        WAITING.set(len(self._waiting))
        return replies

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
        remaining_ms = one.remaining_ms(now_ms)
        if remaining_ms <= 0:
            return [Reply(one, expired(one, now_ms=now_ms, skew_ms=skew))]
        asked = WaitingRequest(one, cost_of(one.request))
        wait_s = self._waiting.ahead(asked) * self.pace.unit_s
        over = [asked] if wait_s * 1000 > remaining_ms else self._waiting.add(asked)
        OVERLOADED.inc(len(over))
        return [Reply(late.accepted, overloaded(late.accepted, wait_s=wait_s)) for late in over]

    def _hold(self, record: Record) -> None:
        """Note that the answer to a record is on its way.

        Read again meanwhile, it is not done before that.
        """
        self._known.add(_position(record))
        self._in_hand.add(_position(record))


def _position(record: Record) -> _Position:
    return (record.partition, record.offset, record.timestamp_ms)
