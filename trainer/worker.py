"""Turn triggers into runs: one at a time, at most one waiting, each reported on ``training-runs`` until its one terminal state.

A trigger's offset moves only after its run is recorded, and a recorded trigger is known by its id: nothing is lost, nothing runs twice.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge

from broker.dead_letters import dead_letter
from broker.producing import Producer
from broker.records import Outgoing, Record
from schemas.rejections import Rejection
from schemas.settings import TrainerSettings
from schemas.topics import TRAINING_RUNS
from schemas.training import RunError, RunState, TrainingRun, Trigger
from trainer.execution import execute
from trainer.history import History
from trainer.inbox import read_request, read_trigger
from trainer.request import Request
from trainer.run_folder import Outcome, Progress, RunFolder
from trainer.snapshot import Manifest

log = structlog.get_logger(__name__)

ENDED = Counter("searchloop_training_runs", "Runs that ended, by state.", ["state"])
REFUSED = Counter("searchloop_training_triggers_refused", "Triggers sent to the dead letters.")
FRESHNESS = Gauge("searchloop_event_to_effect_seconds", "From the newest pair that the live generation has seen to its first answer.")
RUNNING = Gauge("searchloop_training_running", "Whether a run is in progress.")


class Worker:
    """The runs of one trainer. ``waiting`` is the run that comes next, if any."""

    def __init__(self, settings: TrainerSettings, producer: Producer, history: History) -> None:
        self._settings, self._producer, self._history = settings, producer, history
        self._resumed: list[Request] = []
        self._changed = asyncio.Event()
        self.waiting: Request | None = None
        self.current: str | None = None
        self._execution: asyncio.Task[Outcome] | None = None

    async def recover(self) -> None:
        """Take up what an earlier process left: runs whose folder is here go on, the others are failed."""
        for run in self._history.unfinished():
            request = self._folder(run.run_id).find("request", Request)
            if request is None:
                error = RunError(code="folder_lost", message="the run's folder is not on this machine", retryable=True)
                await self._end(run.run_id, Outcome(state=RunState.FAILED, detail=error.message, error=error))
            elif run.state == RunState.QUEUED and self.waiting is None:
                self.waiting = request.model_copy(update={"trigger_ids": run.trigger_ids})
            else:
                self._resumed.append(request)
        self._changed.set()

    async def accept(self, record: Record) -> bool:
        """Take a trigger in; True when it is dealt with for good. False: another run is waiting, try again later."""
        trigger = read_trigger(record)
        if isinstance(trigger, Rejection):
            return await self._refuse(record, trigger)
        if self._history.taken(trigger):
            log.info("trigger already answered", trigger_id=trigger.trigger_id, dedup_key=trigger.dedup_key)
            return True
        if trigger.cancels:
            await self._cancel(trigger.cancels, trigger.requested_by)
            return True
        request = read_request(trigger, self._settings, datetime.now(UTC))
        if isinstance(request, Rejection):
            return await self._refuse(record, request)
        if trigger.base == "live" and self._history.needs_full_retrain(self._settings.full_after_rejected):
            request = request.model_copy(update={"base": "pristine"})
        keys = [trigger.dedup_key] if trigger.dedup_key else []
        if self.waiting is None:
            folder = self._folder(request.run_id)
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.commit("request", request)
            queued = TrainingRun(run_id=request.run_id, trigger_ids=[trigger.trigger_id], dedup_keys=keys, state=RunState.QUEUED)
            await self._record(queued)
            self.waiting = request
        elif request.same_work(self.waiting):
            run = self._history.get(self.waiting.run_id)
            assert run is not None
            joined = {"trigger_ids": [*run.trigger_ids, trigger.trigger_id], "dedup_keys": [*run.dedup_keys, *keys]}
            await self._record(run.model_copy(update={**joined, "detail": "answers several triggers"}))
        else:
            return False
        self._changed.set()
        return True

    async def heed(self, records: Iterable[Record]) -> None:
        """Carry out the cancellations among triggers that wait behind another one; they are harmless when they are read again."""
        for record in records:
            trigger = read_trigger(record)
            if isinstance(trigger, Trigger) and trigger.cancels:
                await self._cancel(trigger.cancels, trigger.requested_by)

    async def work(self) -> None:
        """Carry out runs, one after the other, for ever."""
        while True:
            request = self._resumed.pop(0) if self._resumed else self.waiting
            if request is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            if request is self.waiting:
                self.waiting = None
            await self._carry_out(request)

    async def _carry_out(self, request: Request) -> None:
        run_id, folder = request.run_id, self._folder(request.run_id)
        self.current = run_id
        RUNNING.set(1)
        log.info("run begins", run_id=run_id)
        began = datetime.now(UTC)

        async def tell(progress: Progress) -> None:
            await self._tell(run_id, state=progress.state, progress=progress.progress, detail=progress.detail, **_counts(folder))

        self._execution = asyncio.create_task(execute(folder, request.settings, tell))
        try:
            outcome = await self._execution
        except asyncio.CancelledError:
            found = folder.find("outcome", Outcome)
            if found is None:  # we are stopped, and the run goes on at the next start
                raise
            outcome = found
        finally:
            self._execution = None
        now = datetime.now(UTC)
        took = (now - began).total_seconds()
        outcome = _with_freshness(folder, outcome, now)
        await self._end(run_id, outcome, duration_s=round(took, 1), **_counts(folder))
        self.current = None
        RUNNING.set(0)

    async def _cancel(self, run_id: str, by: str) -> None:
        """End a run that waits or is in progress. One that is being deployed, or has ended, is left as it is."""
        cancelled = Outcome(state=RunState.CANCELLED, detail=f"cancelled by {by}")
        progress = self._folder(run_id).find("progress", Progress)
        if self.waiting is not None and self.waiting.run_id == run_id:
            self.waiting = None
            self._folder(run_id).commit("outcome", cancelled)
            await self._end(run_id, cancelled)
        elif run_id == self.current and self._execution is not None and (progress is None or progress.state != RunState.DEPLOYING):
            self._folder(run_id).commit("outcome", cancelled)
            self._execution.cancel()
        else:
            log.info("there is nothing to cancel", run_id=run_id)

    async def _end(self, run_id: str, outcome: Outcome, **facts: object) -> None:
        await self._tell(run_id, progress=1.0, **{name: getattr(outcome, name) for name in Outcome.model_fields}, **facts)
        ENDED.labels(outcome.state.value).inc()
        log.info("run ended", run_id=run_id, state=outcome.state.value, verdict=outcome.verdict, detail=outcome.detail[:300])

    async def _tell(self, run_id: str, **facts: object) -> None:
        known = self._history.get(run_id)
        assert known is not None
        assert not known.state.terminal, f"run {run_id} has ended as {known.state.value}"
        await self._record(known.model_copy(update=facts))

    async def _record(self, run: TrainingRun) -> None:
        known = self._history.get(run.run_id)
        run = run.model_copy(update={"seq": known.seq + 1 if known else 0, "at": datetime.now(UTC)})
        await self._producer.send(Outgoing(self._settings.topic(TRAINING_RUNS.name), run.to_json(), key=run.run_id.encode()))
        self._history.record(run)

    async def _refuse(self, record: Record, rejection: Rejection) -> bool:
        log.warning(
            "trigger refused", offset=record.offset, reason=rejection.reason.value, problems=[p.message for p in rejection.problems]
        )
        await self._producer.send(dead_letter(record, rejection, stage="trainer"))
        REFUSED.inc()
        return True

    def _folder(self, run_id: str) -> RunFolder:
        return RunFolder(self._settings.data_dir / "runs" / run_id)


def _with_freshness(folder: RunFolder, outcome: Outcome, now: datetime) -> Outcome:
    """Return the outcome of a deployed run with ``event_to_effect_s``: the age, now that it serves, of the newest pair it has read."""
    manifest = folder.find("snapshot", Manifest)
    if outcome.state is not RunState.DEPLOYED or manifest is None or manifest.newest_at is None:
        return outcome
    age = (now - manifest.newest_at).total_seconds()
    FRESHNESS.set(age)
    return outcome.model_copy(update={"metrics": {**outcome.metrics, "event_to_effect_s": round(age, 3)}})


def _counts(folder: RunFolder) -> dict[str, int]:
    manifest = folder.find("snapshot", Manifest)
    return {"pairs": manifest.pairs, "queries": manifest.queries, "products": manifest.products} if manifest else {}
