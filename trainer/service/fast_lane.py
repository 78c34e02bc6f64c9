"""Refresh what serves: when somebody asks, when a new model serves, and every so often from new pairs.

Beside the runs, one at a time, each a process of its own (``trainer.refresh``); ``refresh_due`` says when.
What was tried is known by where ``pairs`` ended and what served: nothing is done twice, nor where nothing is
new. Old folders go.
"""

import asyncio
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge
from pydantic import ValidationError

from artefacts.collecting import collect, forget, forget_runs
from artefacts.folders import StoredFolderError
from artefacts.located import folders_of
from broker.reading import Reader, open_reader
from broker.release_log import ReleaseLog
from schemas.releases import LivePointer, Ranking
from schemas.settings import TrainerSettings
from schemas.topics import ERASURES, PAIRS, RELEASES
from schemas.training import Decision, RunState, TrainingRun, Trigger
from trainer.data.snapshot import FORGETTING_S, Manifest
from trainer.run.folder import MarkerError, RunFolder, RunOutcome, refreshes_in, write_durably
from trainer.run.launcher import Launcher
from trainer.run.request import Request
from trainer.run.triggers import is_run_id, run_id_of
from trainer.service.execution import execute
from trainer.service.refresh_due import (
    FORGETTING_EVERY_S,
    Failures,
    Forgetting,
    Tried,
    clears,
    due,
    may_serve,
    refits,
    surplus,
)
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
TRIED = "tried.json"


class FastLane:
    """The refreshes of one trainer. ``current`` is the one in progress."""

    def __init__(self, settings: TrainerSettings, worker: Worker, launcher: Launcher) -> None:
        self._settings, self._launcher = settings, launcher
        self._worker = worker
        self._folder = refreshes_in(settings.data_dir)
        self._releases = ReleaseLog(settings.deployment)
        self._tried = Tried()
        self._failures = Failures()
        self._began = float("-inf")
        self._took = 0.0
        self._ended: int | None = None
        self._erased: dict[str, int] = {}
        self._clears_from = float("-inf")
        self.current: str | None = None

    async def work(self) -> None:
        """Refresh, for ever."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tried = self._read_tried()
        names = [self._settings.topic(topic.name) for topic in (PAIRS, ERASURES)]
        async with (
            open_reader(self._settings, names, start="end") as ends,
            open_reader(self._settings, [self._settings.topic(RELEASES.name)]) as releases,
        ):
            while True:
                await self._follow(releases)
                await self._after_runs()
                try:
                    request = await self._next(ends)
                    if request is not None:
                        await self._carry_out(request, releases)
                        continue
                except OSError as error:  # a full disk holds up the refreshes, and no run
                    self._fails(str(error))
                    self._began, self.current = time.monotonic(), None
                await asyncio.sleep(TICK_S)

    async def _follow(self, releases: Reader) -> None:
        async for record in releases.until(await releases.end_offsets()):
            self._releases.take(record)

    async def _next(self, reader: Reader) -> Request | None:
        """Return what is to be done: what was begun, what is asked for, or what is due."""
        pairs = await self._look(reader)
        await self._clear()
        if begun := self._begun():
            return begun
        if self._worker.refreshes:
            return self._worker.refreshes.popleft()
        now, pointer = time.monotonic(), self._releases.pointer
        if not due(
            pointer,
            pairs,
            self._tried,
            rested_s=min(now - self._began, 2 * (now - self._began - self._took)),
            every_s=self._settings.refresh_every.total_seconds(),
            failures=self._failures,
            forgetting=Forgetting(self._erased != self._tried.erased, self._forgot_lately()),
        ):
            return None
        trigger = Trigger(
            trigger_id=uuid.uuid4().hex,
            reason="volume",
            requested_by="trainer",
            requested_at=datetime.now(UTC),
            refresh=True,
        )
        at, every = datetime.now(UTC), self._settings.refit_every
        request = Request.of(run_id_of(trigger, at), trigger, self._settings).model_copy(
            update={"refit": refits(pointer, self._tried, now=at, every=every), "at": at}
        )
        self._of(request.run_id).path.mkdir(parents=True, exist_ok=True)
        self._of(request.run_id).commit("request", request)
        return request

    async def _look(self, reader: Reader) -> dict[str, int]:
        """Return where ``pairs`` ends, and note whether somebody asked to be forgotten."""
        found = await reader.end_offsets()
        pairs = {f"{p}": end for (t, p), end in found.items() if t == self._settings.topic(PAIRS.name)}
        erased = {f"{p}": end for (t, p), end in found.items() if t != self._settings.topic(PAIRS.name)}
        if self._tried.erased is None:
            await self._note(self._tried.model_copy(update={"erased": erased, "seen": erased}))
        elif erased != (self._tried.seen or self._tried.erased):
            asked = {"seen": erased, "erased_at": datetime.now(UTC), "cleared_at": None}
            await self._note(self._tried.model_copy(update=asked))
            self._clears_from = float("-inf")
        self._erased = erased
        return pairs

    async def _clear(self) -> None:
        """Remove snapshots and reports after somebody asked to be forgotten; see ``clears``."""
        now = datetime.now(UTC)
        if time.monotonic() < self._clears_from or not clears(self._tried, now=now):
            return
        self._clears_from = time.monotonic() + FORGETTING_EVERY_S  # also where the store does not answer
        try:
            gone = await asyncio.to_thread(forget_runs, folders_of(self._settings), now=now)
        except (StoredFolderError, OSError) as error:
            log.warning(
                "snapshots and reports of a forgotten shopper are still there", reason=str(error)[:300]
            )
            return
        await self._note(self._tried.model_copy(update={"cleared_at": now}))
        if gone:
            log.info("snapshots and reports removed, somebody is to be forgotten", folders=len(gone))

    def _forgot_lately(self) -> bool:
        at = self._tried.erased_at
        return at is not None and (datetime.now(UTC) - at).total_seconds() < FORGETTING_S

    async def _carry_out(self, request: Request, releases: Reader) -> None:
        run, self.current = self._of(request.run_id), request.run_id
        knows = self._tried.erased if (run.path / "decision.json").exists() else self._erased
        self._began = time.monotonic()
        limited = request.settings.model_copy(update={"max_minutes": LIMIT_MINUTES})
        outcome = await execute(run, limited, lambda p: self._worker.told(request.run_id, p), self._launcher)
        self._took = time.monotonic() - self._began
        await self._follow(releases)
        await self._learn(run, request, outcome, knows)
        await self._worker.ended(request.run_id, outcome, round(self._took, 1))
        if outcome.state is not RunState.FAILED:
            log.info(
                "refresh ended",
                refresh=request.run_id,
                state=outcome.state.value,
                generation=outcome.generation,
                seconds=round(self._took, 1),
                detail=outcome.detail[:300],
            )
        self.current = None

    async def _learn(
        self, run: RunFolder, request: Request, outcome: RunOutcome, knows: dict[str, int] | None
    ) -> None:
        """Note what was tried, count it, and let old folders go.

        ``knows``: where the requests to forget ended that it may have followed.
        """
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
        if outcome.state is RunState.FAILED:
            self._fails(outcome.detail, live)
        else:
            self._failures = Failures()
        forgets = self._forgot_lately()
        if manifest and live and not self._failures.count:
            ends = {f"{p}": end for p, end in manifest.offsets[PAIRS.name].items()}
            generation = outcome.generation if deployed else live.live.generation
            forgets |= knows != self._tried.erased
            told: dict[str, object] = {"ends": ends, "generation": generation, "erased": knows}
            if request.refit:
                told["refitted_at"] = request.at
            await self._note(self._tried.model_copy(update=told))
        if live and not self._failures.count:
            serves = {run.path.name if deployed else live.live.run_id}
            serves |= {self._releases.pointer.live.run_id} if self._releases.pointer else set()
            serving = may_serve(self._releases.pointer or live, self._releases.releases)
            with suppress(MarkerError):
                if deployed and (decision := run.find("decision", Decision)) is not None:
                    serving.append(decision.candidate_ranking)
            await asyncio.to_thread(self._tidy, serves, serving, self._worker.runs, forgets=forgets)

    def _fails(self, why: str, live: LivePointer | None = None) -> None:
        """Note a failure, which is told once for as long as it is the same."""
        before, self._failures = self._failures, self._failures.again(live or self._releases.pointer, why)
        if before.why != self._failures.why:
            log.warning("refresh put off: it is tried again after longer and longer pauses", reason=why[:300])

    def _tidy(
        self,
        serves: set[str | None],
        serving: Sequence[Ranking],
        runs: Sequence[TrainingRun],
        *,
        forgets: bool,
    ) -> None:
        """Let old folders go; where somebody is forgotten, all that may tell of it and does not serve."""
        ended = [path.name for path in self._folder.iterdir() if (path / "outcome.json").exists()]
        for name in surplus(ended, self._releases.releases, keep=KEPT):
            if name not in serves:
                shutil.rmtree(self._folder / name, ignore_errors=True)
        for name in ended if forgets else ():
            if name not in serves:
                shutil.rmtree(self._folder / name / "memory", ignore_errors=True)
        self._collect(runs, serving if forgets else None)

    async def _after_runs(self) -> None:
        """Remove what nobody needs when a run has ended, also where refreshes are turned off."""
        runs = self._worker.runs
        ended = sum(run.state.terminal for run in runs)
        if ended != self._ended:
            self._ended = ended
            await asyncio.to_thread(self._collect, runs)

    def _collect(self, runs: Sequence[TrainingRun], forgets_all_but: Sequence[Ranking] | None = None) -> None:
        store, now = folders_of(self._settings), datetime.now(UTC)
        try:
            gone = forget(store, forgets_all_but, now=now) if forgets_all_but is not None else []
            gone += collect(store, self._releases.releases, runs, now=now)
        except (StoredFolderError, OSError) as error:
            log.warning("nothing is removed from the store now", reason=str(error)[:300])
        else:
            if gone:
                log.info("removed from the store, nobody needs them", folders=len(gone))

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

    def _read_tried(self) -> Tried:
        try:
            return Tried.model_validate_json((self._folder / TRIED).read_bytes())
        except (OSError, ValidationError):
            return Tried()

    async def _note(self, tried: Tried) -> None:
        await asyncio.to_thread(write_durably, self._folder / TRIED, tried.model_dump_json().encode())
        self._tried = tried

    def _of(self, refresh_id: str) -> RunFolder:
        return RunFolder.of_refresh(self._settings.data_dir, refresh_id)
