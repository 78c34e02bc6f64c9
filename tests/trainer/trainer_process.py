"""A real trainer process; the test takes everybody else's part."""

from collections.abc import Mapping
from datetime import UTC, datetime

from commands.instruments.only_asked import ONLY_ASKED
from schemas.topics import TRAINING_RUNS, TRAINING_TRIGGERS
from schemas.training import TrainingRun, Trigger
from tests.processes import SearchloopProcess


class TrainerProcess(SearchloopProcess):
    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__("trainer", ONLY_ASKED | dict(settings))

    def crashes(self) -> int:
        """How often the process has ended for a fault, and whether it has now."""
        return self.log().count("crashed") + self.ended()

    async def trigger(self, trigger_id: str, **fields: object) -> None:
        trigger = Trigger(trigger_id=trigger_id, requested_at=datetime.now(UTC), **fields)
        await self.send(TRAINING_TRIGGERS.name, (b"main", trigger.to_json()))

    async def runs(self) -> list[TrainingRun]:
        return [TrainingRun.from_json(r.value or b"") for r in await self.records(TRAINING_RUNS.name)]
