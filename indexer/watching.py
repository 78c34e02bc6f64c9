"""Watch searcher reports and clicks, and roll back what ``guard`` decides against.

As an operator would: by a command. The same reports throttle builds and hold collections back. Thin: what a
report means is decided elsewhere.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import ValidationError

from broker.guarding import judged
from broker.reading import Reader
from broker.records import Record
from indexer.click_test import Clicked
from indexer.clicks import ClickCounts
from indexer.deployer import Deployer
from indexer.guard import ACTOR, Limits, judged_promotion, summed, watched, why_roll_back
from indexer.metrics import (
    BUILD_PAUSE,
    CLICK_BLIND,
    CLICK_SHARE,
    CLICKS_CAME,
    CLICKS_UNPROVEN,
    GUARD_ROLLBACKS,
)
from indexer.sight import Sight
from indexer.throttle import next_pause_ms, observed_p95
from retrieval.naming import stamp_of
from schemas.releases import DeploymentCommand, LivePointer, Promotion, Release, SearcherReport
from schemas.settings import IndexerSettings

log = structlog.get_logger(__name__)

FORGET = timedelta(days=1)
AHEAD = timedelta(minutes=5)  # what a searcher's clock may be ahead
SEARCHERS = 1000
EXACT = 2**53  # what a float holds exactly


def read_report(record: Record) -> SearcherReport | None:
    """Return the report of a record whose numbers can be added up, else None.

    Anybody may write anything on a topic.
    """
    try:
        report = SearcherReport.from_json(record.value or b"")
    except ValidationError:
        return None
    counts = [
        n
        for s in report.served
        for n in (
            s.answers,
            s.errors,
            s.empty,
            *s.latency_counts,
            *s.plain_by_client,
            *s.plain_errors_by_client,
            *s.plain_empty_by_client,
            *(ms for turn in s.turns for ms in turn),
        )
    ]
    own = record.key == report.searcher_id.encode()
    return report if own and all(0 <= n <= EXACT for n in counts) else None


class Watch:
    """What is known of the searchers.

    All that was reported before the start is included once ``informed`` is set. ``building`` says whether a
    build runs: then ``pause_s`` is what it should wait.
    """

    def __init__(self, settings: IndexerSettings, deployer: Deployer, building: Callable[[], bool]) -> None:
        self.informed = asyncio.Event()
        self._settings = settings
        self._deployer = deployer
        self._building = building
        self._reports: dict[str, SearcherReport] = {}
        self._clicks = ClickCounts()
        self._since = datetime.now(UTC)
        self._limits = Limits(
            settings.guard_window, settings.guard_silence, settings.guard_alpha, settings.searcher_timeout
        )
        self._judged = 0
        self._sight = Sight()
        self.blind: str | None = None
        self._calm_ms: float | None = None
        self._pause_ms = float(settings.build_pause_ms)

    @property
    def reports(self) -> Collection[SearcherReport]:
        """The newest report of each searcher."""
        return self._reports.values()

    def pause_s(self) -> float:
        """Return how long a build should wait now, in seconds."""
        return self._pause_ms / 1000

    async def listen(self, reports: Reader) -> None:
        """Take reports in, for ever, and judge after each of them and twice a second."""
        async for record in reports.until(await reports.end_offsets()):
            self._take([record])
        self.informed.set()
        while True:
            self._take(await reports.poll(timeout_ms=500))
            now = datetime.now(UTC)
            self._reports = {i: r for i, r in self._reports.items() if now - r.at <= FORGET}
            self._throttle(now)
            await self._judge(now)

    async def count(self, events: Reader) -> None:
        """Count searches and clicks, for ever."""
        while True:
            values = [r.value for r in await events.poll(timeout_ms=500) if r.value]
            self._clicks.take(values, time.monotonic())
            CLICKS_UNPROVEN.set(self._clicks.unproven)
            CLICK_SHARE.set(0.5**self._clicks.halvings)
            await asyncio.sleep(0)

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None:
                self._reports.pop((record.key or b"").decode(errors="replace"), None)
                continue
            report = judged(read_report, record)
            if not isinstance(report, SearcherReport) or report.deployment not in {
                None,
                self._settings.deployment,
            }:
                continue
            if report.at <= datetime.now(UTC) + AHEAD:
                self._reports[report.searcher_id] = report
                self._clicks.keys.learn(report.seal_key)
                if len(self._reports) > SEARCHERS:
                    del self._reports[min(self._reports, key=lambda i: self._reports[i].at)]

    def _throttle(self, now: datetime) -> None:
        s, observed = self._settings, observed_p95(self.reports, now)
        if not self._building():
            self._calm_ms = observed if observed is not None else self._calm_ms
            self._pause_ms = float(s.build_pause_ms)
        else:
            self._pause_ms = next_pause_ms(
                self._pause_ms,
                observed,
                self._calm_ms,
                least=s.build_pause_ms,
                most=s.build_pause_max_ms,
                slowdown=s.build_slowdown,
            )
        BUILD_PAUSE.set(self.pause_s())

    async def _judge(self, now: datetime) -> None:
        """Once per pointer at most.

        A refused rollback (the generation is pinned) is on record and not asked again.
        """
        pointer = self._deployer.ledger.state.pointer
        if pointer is None or pointer.previous is None or not watched(pointer, now, self._limits):
            self._see(None)
            return
        promotion = judged_promotion(pointer, now, self._limits)
        self._look(pointer, promotion)
        if pointer.sequence <= self._judged:
            return
        before = self._clicked(promotion.before) if promotion else Clicked()
        clicks = (before, self._clicked(pointer.live))
        found = why_roll_back(pointer, self.reports, clicks, now=now, since=self._since, limits=self._limits)
        if found is None:
            return
        reason, target = found
        self._judged = pointer.sequence
        log.error("automatic rollback", generation=pointer.live.generation, reason=reason)
        GUARD_ROLLBACKS.inc()
        await self._deployer.carry_out(
            DeploymentCommand(
                command_id=f"guard-{pointer.deployment}-{pointer.sequence}",
                deployment=pointer.deployment,
                action="rollback",
                expected_generation=pointer.live.generation,
                target_generation=target.generation,
                reason=reason[:500],
                actor=ACTOR,
            )
        )

    def _look(self, pointer: LivePointer, promotion: Promotion | None) -> None:
        """See whether searches of a promotion, and of its refreshes, come back as events."""
        if promotion is None:
            self._see(None)
            return
        stamp = stamp_of(pointer.live)
        answers = summed(self.reports, stamp, since=promotion.sequence).answers
        came = sum(self._clicks.came[number] for number in self._served_as(pointer.live))
        CLICKS_CAME.labels(str(stamp)).set(came)
        self._see(self._sight.blind(promotion.sequence, answers, came, time.monotonic()))

    def _clicked(self, release: Release) -> Clicked:
        """Return the counts of a generation and its refreshes: a searcher's events name each by its own."""
        own = [self._clicks.of(number) for number in self._served_as(release)]
        return Clicked(sum(one.searches for one in own), sum(one.clicked for one in own))

    def _served_as(self, release: Release) -> list[int]:
        state = self._deployer.ledger.state
        return sorted({release.generation, *(r.generation for r in state.of_collection(release.collection))})

    def _see(self, blind: str | None) -> None:
        """Say once when the click test stops seeing.

        And on ``/readyz`` and ``/metrics`` for as long as it does not.
        """
        if blind and not self.blind:
            log.error("click guard receives no searches of the promoted generation", reason=blind)
        self.blind = blind
        CLICK_BLIND.set(blind is not None)
