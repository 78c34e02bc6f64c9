"""Asking the trainer for a run, and waiting for its end."""

from collections.abc import Callable

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from commands.support.patience import Patience
from commands.support.topic_state import readable
from schemas.settings import Settings
from schemas.training import TrainingRun, Trigger


async def send_trigger(settings: Settings, trigger: Trigger) -> None:
    """Write one trigger."""
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(
            Outgoing(settings.topic("training-triggers"), trigger.to_json(), key=settings.deployment.encode())
        )


async def wait_for_run(
    settings: Settings,
    wanted: str,
    *,
    quiet_s: float,
    on_change: Callable[[TrainingRun], None] = lambda _: None,
) -> TrainingRun:
    """Return the run of this id, or that took the trigger of this id, once it has ended.

    Waits as long as any run tells of progress, so also behind others; raises ``StuckError`` once none did for
    ``quiet_s``.
    """
    patience = Patience(
        "the training run",
        f"the end of run or trigger {wanted}",
        quiet_s=quiet_s,
        advice="It goes on: `searchloop runs` shows its progress, `searchloop status` whether the trainer "
        "and the indexer are ready.",
    )
    seen: dict[str, str] = {}
    async with open_reader(settings, [settings.topic("training-runs")]) as reader:
        while True:
            for record in await reader.poll(timeout_ms=300):
                run = readable(TrainingRun.from_json, record.value)
                if run is None:
                    continue
                seen[run.run_id] = f"{run.state.value} {run.progress:.0%} {run.detail}"
                if wanted in {run.run_id, *run.trigger_ids}:
                    on_change(run)
                    if run.state.terminal:
                        return run
            patience.saw(dict(list(seen.items())[-3:]) or None)
