"""Wait for the end of a run while its progress is shown."""

import asyncio

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from commands.support.patience import StuckError
from commands.support.run_request import wait_for_run
from commands.support.session import err, stop
from schemas.settings import Settings
from schemas.training import TrainingRun


def ended(settings: Settings, trigger_id: str, *, quiet_s: float) -> TrainingRun:
    """Return the run that took the trigger, once it has ended; stop with a sentence once nothing moves."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=err
    )
    with bar:
        task = bar.add_task("waiting for the trainer", total=None)

        said: list[str] = []

        def follow(run: TrainingRun) -> None:
            bar.update(task, description=f"{run.run_id}: {run.state.value} {run.progress:.0%} {run.detail}")
            if not err.is_terminal and run.state.value not in said:  # where no bar moves, a line per step
                said.append(run.state.value)
                err.print(f"{run.run_id}: {run.state.value} {run.detail}", highlight=False)

        try:
            return asyncio.run(wait_for_run(settings, trigger_id, quiet_s=quiet_s, on_change=follow))
        except StuckError as error:
            stop(str(error))
