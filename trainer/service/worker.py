"""Turn triggers into runs.

One at a time, some waiting, each reported on ``training-runs`` until its one terminal state. A trigger's
offset moves only after its run is recorded, and a recorded trigger is known by its id: nothing is lost,
nothing runs twice.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge

from broker.dead_letters import cut, dead_letter
from broker.guarding import judged
from broker.producing import Producer
from broker.records import Outgoing, Record
from schemas.rejections import Rejection
from schemas.settings import TrainerSettings
from schemas.topics import TRAINING_RUNS
from schemas.training import Decision, RunError, RunState, TrainingRun
from trainer.data.snapshot import Manifest
from trainer.run.folder import M, MarkerError, RunFolder, RunOutcome, RunProgress
from trainer.run.launcher import Launcher
from trainer.run.request import Request
from trainer.run.triggers import read_trigger
from trainer.service.acceptance import Acceptance, Begun, Cancels, Joined, Refreshes, accept
from trainer.service.execution import execute
from trainer.service.history import History

log = structlog.get_logger(__name__)

ENDED = Counter("searchloop_training_runs", "Training runs finished, by final state.", ["state"])
REFUSED = Counter(
    "searchloop_training_triggers_refused", "Invalid training triggers sent to the dead-letter topic."
)
FRESHNESS = Gauge(
    "searchloop_event_to_effect_seconds",
    "Age of the newest pair that the live generation was trained on when it first served.",
)
RUNNING = Gauge("searchloop_training_running", "1 while a training run is in progress, else 0.")


class Worker:
    """The runs of one trainer. ``waiting`` are those that have not begun, in their order.

    Refreshes that somebody asked for are ``refreshes``: the fast lane carries them out.
    """

    def __init__(
        self, settings: TrainerSettings, producer: Producer, history: History, launcher: Launcher
    ) -> None:
        self._settings, self._producer, self._history = settings, producer, history
        self._launcher = launcher
        self._resumed: list[Request] = []  # begun by an earlier process
        self._changed = asyncio.Event()
        self.waiting: deque[Request] = deque()
        self.refreshes: deque[Request] = deque()
        self.current: str | None = None
        self._execution: asyncio.Task[RunOutcome] | None = None

    @property
    def runs(self) -> list[TrainingRun]:
        """The newest state of every run."""
        return self._history.runs

    async def recover(self) -> None:
        """Take up what an earlier process left.

        Runs whose folder can be read here go on, the others are failed.
        """
        for run in self._history.unfinished():
            request, error = self._asked(run)
            if run.kind == "refresh" and request is not None:
                self.refreshes.append(request)
            elif request is None:
                await self._end(
                    run.run_id,
                    RunOutcome(state=RunState.FAILED, detail=error.message if error else "", error=error),
                )
            elif run.state == RunState.QUEUED:
                self.waiting.append(request.model_copy(update={"trigger_ids": run.trigger_ids}))
            else:
                self._resumed.append(request)
        self._changed.set()

    async def accept(self, records: Sequence[Record]) -> None:
        """Deal with the records of triggers for good, in their order.

        Whatever stands in one of them is data: none ends the process.
        """
        letters: list[Outgoing] = []
        joined: dict[str, None] = {}
        for record in records:
            await asyncio.sleep(0)  # in a flood the pages and the run have their turn
            found = judged(self._acceptance, record)
            if isinstance(found, Rejection):
                letters.append(dead_letter(record, found, stage="trainer"))
                log.warning(
                    "trigger refused", offset=record.offset, reason=found.reason.value, problem=_words(found)
                )
            elif isinstance(found, Begun):
                waiting = self.refreshes if isinstance(found, Refreshes) else self.waiting
                await self._begin(found, waiting)
            elif isinstance(found, Joined):
                self._history.record(
                    found.run.model_copy(update={"seq": self._history.next_seq(found.run.run_id)})
                )
                joined[found.run.run_id] = None
            elif isinstance(found, Cancels):
                await self._cancel(found.run_id, found.by)
            else:
                log.info("trigger ignored", offset=record.offset, why=found.why)
        for run_id in joined:  # once for the batch: each such record holds the ids of all triggers before it
            run = self._history.get(run_id)
            if run is not None and not run.state.terminal:
                await self._record(run)
        await self._producer.send_all(letters, instead=cut)
        REFUSED.inc(len(letters))

    def _acceptance(self, record: Record) -> Acceptance | Rejection:
        trigger = read_trigger(record)
        if isinstance(trigger, Rejection):
            return trigger
        return accept(
            trigger,
            settings=self._settings,
            history=self._history,
            waiting=self.waiting,
            now=datetime.now(UTC),
        )

    async def _begin(self, found: Begun, waiting: deque[Request]) -> None:
        folder = self._folder_of(found.run)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.commit("request", found.request)
        await self._record(found.run)
        waiting.append(found.request)
        self._changed.set()

    def _folder_of(self, run: TrainingRun) -> RunFolder:
        of = RunFolder.of if run.kind == "full" else RunFolder.of_refresh
        return of(self._settings.data_dir, run.run_id)

    def _asked(self, run: TrainingRun) -> tuple[Request | None, RunError | None]:
        """Return what a run was asked to do, or why that cannot be told any more."""
        try:
            request = self._folder_of(run).find("request", Request)
        except MarkerError as error:
            return None, RunError(code="folder_unreadable", message=str(error)[:1000], retryable=True)
        if request is None:
            return None, RunError(
                code="folder_lost", message="the run's folder is not on this machine", retryable=True
            )
        return request, None

    async def work(self) -> None:
        """Carry out runs, one after the other, for ever."""
        while True:
            if self._resumed or self.waiting:
                await self._carry_out(self._resumed.pop(0) if self._resumed else self.waiting.popleft())
                if _stopped():  # it ended while we were being stopped: told, and nothing more is begun
                    raise asyncio.CancelledError
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _carry_out(self, request: Request) -> None:
        run_id, folder = request.run_id, self._folder(request.run_id)
        self.current = run_id
        RUNNING.set(1)
        log.info("run started", run_id=run_id)
        began = datetime.now(UTC)

        async def tell(progress: RunProgress) -> None:
            await self._tell(
                run_id,
                state=progress.state,
                progress=progress.progress,
                detail=progress.detail,
                **_found(folder),
            )

        self._execution = asyncio.create_task(execute(folder, request.settings, tell, self._launcher))
        try:
            outcome = await self._execution
        except asyncio.CancelledError:
            found = folder.outcome()
            if found is None:  # we are stopped, and the run goes on at the next start
                raise
            outcome = found
        finally:
            self._execution = None
        now = datetime.now(UTC)
        took = (now - began).total_seconds()
        outcome = _with_freshness(folder, outcome, now)
        await self._end(run_id, outcome, duration_s=round(took, 1), **_found(folder))
        self.current = None
        RUNNING.set(0)

    async def _cancel(self, run_id: str, by: str) -> None:
        """End a run that waits or is in progress.

        One that is being deployed, or has ended, is left as it is.
        """
        cancelled = RunOutcome(state=RunState.CANCELLED, detail=f"cancelled by {by}")
        run = self._history.get(run_id)
        assert run is not None
        folder = self._folder_of(run)
        if folder.outcome() is not None or folder.progress().state == RunState.DEPLOYING:
            log.info("no run to cancel", run_id=run_id)
            return
        request = next((r for r in (*self.waiting, *self._resumed) if r.run_id == run_id), None)
        if request is not None:
            (self.waiting if request in self.waiting else self._resumed).remove(request)
            folder.commit("outcome", cancelled)
            await self._launcher.stop(folder)  # what an earlier trainer began may go on
            await self._end(run_id, cancelled)
        elif request := next((r for r in self.refreshes if r.run_id == run_id), None):
            self.refreshes.remove(request)
            folder.commit("outcome", cancelled)
            await self._end(run_id, cancelled)
        elif run_id == self.current and self._execution is not None:
            folder.commit("outcome", cancelled)
            self._execution.cancel()
        else:
            log.info("no run to cancel", run_id=run_id)

    async def told(self, run_id: str, progress: RunProgress) -> None:
        """Tell of a refresh that somebody asked for; of others nothing is written."""
        if self._history.get(run_id) is not None:
            await self._tell(run_id, state=progress.state, progress=progress.progress, detail=progress.detail)

    async def ended(self, run_id: str, outcome: RunOutcome, duration_s: float) -> None:
        """Tell of the end of a refresh that somebody asked for."""
        if self._history.get(run_id) is not None:
            await self._end(run_id, outcome, duration_s=duration_s)

    async def _end(self, run_id: str, outcome: RunOutcome, **facts: object) -> None:
        await self._tell(
            run_id,
            progress=1.0,
            **{name: getattr(outcome, name) for name in RunOutcome.model_fields},
            **facts,
        )
        ENDED.labels(outcome.state.value).inc()
        log.info(
            "run ended",
            run_id=run_id,
            state=outcome.state.value,
            verdict=outcome.verdict,
            detail=outcome.detail[:300],
        )

    async def _tell(self, run_id: str, **facts: object) -> None:
        known = self._history.get(run_id)
        assert known is not None
        assert not known.state.terminal, f"run {run_id} has ended as {known.state.value}"
        await self._record(known.model_copy(update=facts))

    async def _record(self, run: TrainingRun) -> None:
        run = run.model_copy(update={"seq": self._history.next_seq(run.run_id), "at": datetime.now(UTC)})
        # Before it is written, so that two who write have two numbers; a write that fails ends the process
        self._history.record(run)
        await self._producer.send(
            Outgoing(self._settings.topic(TRAINING_RUNS.name), run.to_json(), key=run.run_id.encode())
        )

    def _folder(self, run_id: str) -> RunFolder:
        return RunFolder.of(self._settings.data_dir, run_id)


def _stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _words(rejection: Rejection) -> str:
    return "; ".join(p.message for p in rejection.problems)[:300]


def _with_freshness(folder: RunFolder, outcome: RunOutcome, now: datetime) -> RunOutcome:
    """Return the outcome of a deployed run with ``event_to_effect_s``.

    The age, now that it serves, of the newest pair it has read.
    """
    manifest = _manifest(folder)
    if outcome.state is not RunState.DEPLOYED or manifest is None or manifest.newest_at is None:
        return outcome
    age = (now - manifest.newest_at).total_seconds()
    FRESHNESS.set(age)
    return outcome.model_copy(update={"metrics": {**outcome.metrics, "event_to_effect_s": round(age, 3)}})


def _found(folder: RunFolder) -> dict[str, object]:
    """Return what the run has found so far: counts of its snapshot, and where its evidence is kept."""
    manifest, decision = _manifest(folder), _read(folder, "decision", Decision)
    counts = {name: getattr(manifest, name) for name in ("pairs", "queries", "products")} if manifest else {}
    kept = {"snapshot": decision.snapshot, "report": decision.report} if decision else {}
    return {**counts, **kept}


def _manifest(folder: RunFolder) -> Manifest | None:
    return _read(folder, "snapshot", Manifest)


def _read(folder: RunFolder, step: str, kind: type[M]) -> M | None:
    """Return a marker where it can be read: what is shown of it is of no weight."""
    try:
        return folder.find(step, kind)
    except MarkerError:
        return None
