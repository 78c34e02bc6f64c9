"""Refresh what serves: when somebody asks, when a new model serves, and every so often from new pairs.

Beside the runs, one at a time, each a process of its own (``trainer.refresh``). What was tried is known by
where ``pairs`` ended and what served: nothing is done twice, nor where nothing is new. Old folders go.
"""

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge

from broker.reading import Reader, open_reader
from broker.release_log import ReleaseLog
from schemas.releases import LivePointer, Release, ReleaseState
from schemas.settings import TrainerSettings
from schemas.topics import ERASURES, PAIRS, RELEASES
from schemas.training import RunState, Trigger
from trainer.data.snapshot import Manifest
from trainer.run.folder import MarkerError, RunFolder, RunOutcome, refreshes_in, write_durably
from trainer.run.request import Request
from trainer.run.triggers import is_run_id, run_id_of
from trainer.service.execution import execute
from trainer.service.worker import Worker

log = structlog.get_logger(__name__)

ENDED = Counter("searchloop_refreshes", "Refreshes finished, by final state.", ["state"])
TOOK = Gauge("searchloop_refresh_seconds", "Duration of the last refresh.")
AT = Gauge("searchloop_refreshed_at_seconds", "When the last refresh was deployed, in seconds since 1970.")
FRESHNESS = Gauge(
    "searchloop_purchase_to_answer_seconds",
    "Age of the newest pair that a refresh was made of when it first served.",
)

TICK_S = 2.0
LIMIT_MINUTES = 15
KEPT = 5  # folders of refreshes that do not stand
FORGETTING_S = 600.0  # for so long after a request to forget, older refreshes lose their memory
TRIED = "tried.json"
Ends = Mapping[str, int]
_STANDING = frozenset(
    {ReleaseState.BUILDING, ReleaseState.VERIFIED, ReleaseState.RELEASED, ReleaseState.RETIRED}
)


@dataclass(frozen=True)
class Tried:
    """What the last refresh knew: where ``pairs`` ended, and the generation that served after it.

    ``failed``: it came to no verdict, or the indexer refused it, and it is to be tried again.
    """

    ends: Ends = field(default_factory=dict)
    generation: int | None = None
    failed: bool = False


def held(pointer: LivePointer) -> str | None:
    """Return why what serves must not be refreshed, or None.

    A refresh that was rolled back bars the next one, until other weights serve or somebody forces it.
    """
    before = pointer.previous
    if pointer.pinned or pointer.paused:
        return "pinned" if pointer.pinned else "paused"
    if (
        before is not None
        and before.kind == "refresh"
        and before.rolled_back is not None
        and before.collection == pointer.live.collection
    ):
        return f"refresh {before.generation} was rolled back by {before.rolled_back.actor}"
    return None


def due(
    pointer: LivePointer | None, ends: Ends, tried: Tried, *, rested_s: float, every_s: float, hurry: bool
) -> bool:
    """Say whether a refresh should begin that nobody has asked for.

    New pairs wait for ``every_s``, or for nothing where somebody is to be forgotten (``hurry``). A model
    that begins to serve does not wait: it remembers only what a run was allowed to. ``rested_s``: since the
    last refresh, which so takes at most half of the time; infinite before the first.
    """
    if not every_s or pointer is None or held(pointer) or not sum(ends.values()):
        return False
    if pointer.live.kind == "full" and pointer.live.generation != tried.generation:
        return not tried.failed or rested_s >= every_s
    return ends != tried.ends and ((hurry and not tried.failed) or rested_s >= every_s)


def surplus(folders: Iterable[str], releases: Iterable[Release], *, keep: int) -> list[str]:
    """Return the folders of ended refreshes that may go: no release that stands is theirs, nor are they new.

    Ids sort by time.
    """
    standing = {r.run_id for r in releases if r.state in _STANDING}
    return [name for name in sorted(folders, reverse=True) if name not in standing][keep:]


class FastLane:
    """The refreshes of one trainer. ``current`` is the one in progress."""

    def __init__(self, settings: TrainerSettings, worker: Worker) -> None:
        self._settings = settings
        self._worker = worker
        self._folder = refreshes_in(settings.data_dir)
        self._releases = ReleaseLog(settings.deployment)
        self._began = float("-inf")
        self._failed = False
        self._took = 0.0
        self._erased: Ends = {}
        self._erased_at = float("-inf")
        self.current: str | None = None

    async def work(self) -> None:
        """Refresh, for ever."""
        self._folder.mkdir(parents=True, exist_ok=True)
        names = [self._settings.topic(topic.name) for topic in (PAIRS, ERASURES)]
        releases = self._settings.topic(RELEASES.name)
        async with (
            open_reader(self._settings.kafka, names, start="end") as ends,
            open_reader(self._settings.kafka, [releases]) as reader,
        ):
            async for record in reader.until(await reader.end_offsets()):
                self._releases.take(record)
            while True:
                async for record in reader.until(await reader.end_offsets()):
                    self._releases.take(record)
                try:
                    request = await self._next(ends)
                    if request is not None:
                        await self._carry_out(request)
                        continue
                except OSError as error:  # a full disk holds up the refreshes, and no run
                    log.warning("refresh put off", reason=str(error))
                    self._failed, self._began, self.current = True, time.monotonic(), None
                await asyncio.sleep(TICK_S)

    async def _next(self, reader: Reader) -> Request | None:
        """Return what is to be done: what was begun, what is asked for, or what is due."""
        found = await reader.end_offsets()
        pairs = {f"{p}": end for (t, p), end in found.items() if t == self._settings.topic(PAIRS.name)}
        erased = {f"{p}": end for (t, p), end in found.items() if f"{t}" != self._settings.topic(PAIRS.name)}
        now = time.monotonic()
        if erased != self._erased:
            self._erased_at = now if self._erased else self._erased_at
            self._erased = erased
        if begun := self._begun():
            return begun
        if self._worker.refreshes:
            return self._worker.refreshes.popleft()
        if not due(
            self._releases.pointer,
            pairs,
            self._tried(),
            rested_s=min(now - self._began, 2 * (now - self._began - self._took)),
            every_s=self._settings.refresh_every.total_seconds(),
            hurry=self._erased_at > self._began,
        ):
            return None
        trigger = Trigger(
            trigger_id=uuid.uuid4().hex,
            reason="volume",
            requested_by="trainer",
            requested_at=datetime.now(UTC),
            refresh=True,
        )
        request = Request.of(run_id_of(trigger, datetime.now(UTC)), trigger, self._settings)
        self._of(request.run_id).path.mkdir(parents=True, exist_ok=True)
        self._of(request.run_id).commit("request", request)
        return request

    async def _carry_out(self, request: Request) -> None:
        run, self.current = self._of(request.run_id), request.run_id
        self._began = time.monotonic()
        limited = request.settings.model_copy(update={"max_minutes": LIMIT_MINUTES})
        outcome = await execute(
            run, limited, lambda p: self._worker.told(request.run_id, p), module="trainer.refresh"
        )
        self._took = time.monotonic() - self._began
        await self._learn(run, outcome)
        await self._worker.ended(request.run_id, outcome, round(self._took, 1))
        log.info(
            "refresh ended",
            refresh=request.run_id,
            state=outcome.state.value,
            generation=outcome.generation,
            seconds=round(self._took, 1),
            detail=outcome.detail[:300],
        )
        self.current = None

    async def _learn(self, run: RunFolder, outcome: RunOutcome) -> None:
        """Note what was tried, count it, and let old folders go."""
        ENDED.labels(outcome.state.value).inc()
        TOOK.set(self._took)
        manifest, live = None, None
        with suppress(MarkerError):
            manifest, live = run.find("snapshot", Manifest), run.find("live", LivePointer)
        deployed = outcome.state is RunState.DEPLOYED
        if not deployed:
            run.absent("memory")
        if deployed:
            AT.set(time.time())
            if manifest and manifest.newest_at:
                FRESHNESS.set((datetime.now(UTC) - manifest.newest_at).total_seconds())
        self._failed = outcome.state is RunState.FAILED
        if manifest and live and not self._failed:
            known = {f"{p}": end for p, end in manifest.offsets[PAIRS.name].items()}
            generation = outcome.generation if deployed else live.live.generation
            content = json.dumps({"ends": known, "generation": generation})
            await asyncio.to_thread(write_durably, self._folder / TRIED, content.encode())
        if deployed or live:
            serves = run.path.name if deployed else live.live.run_id if live else None
            await asyncio.to_thread(self._tidy, serves, forgetting=not self._failed)

    def _tidy(self, serves: str | None, *, forgetting: bool) -> None:
        """Let old folders go; where somebody was forgotten lately, the memory of all that do not serve."""
        ended = [path.name for path in self._folder.iterdir() if (path / "outcome.json").exists()]
        for name in surplus(ended, self._releases.releases, keep=KEPT):
            if name != serves:
                shutil.rmtree(self._folder / name, ignore_errors=True)
        if forgetting and time.monotonic() - self._erased_at < FORGETTING_S:
            for name in ended:
                if name != serves:
                    shutil.rmtree(self._folder / name / "memory", ignore_errors=True)

    def _begun(self) -> Request | None:
        """Return the oldest refresh that an earlier process began and that nobody waits for."""
        waiting = {request.run_id for request in self._worker.refreshes}
        for path in sorted(self._folder.iterdir()):
            if is_run_id(path.name) and path.name not in waiting and not (path / "outcome.json").exists():
                with suppress(MarkerError):
                    if (request := RunFolder(path).find("request", Request)) is not None:
                        return request
                shutil.rmtree(path, ignore_errors=True)
        return None

    def _tried(self) -> Tried:
        try:
            known = json.loads((self._folder / TRIED).read_bytes())
            return Tried(dict(known["ends"]), known["generation"], self._failed)
        except (OSError, ValueError, KeyError, TypeError):
            return Tried(failed=self._failed)

    def _of(self, refresh_id: str) -> RunFolder:
        return RunFolder.of_refresh(self._settings.data_dir, refresh_id)
