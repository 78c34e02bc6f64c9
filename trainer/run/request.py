"""What a run is asked to do: its triggers, and the settings with the overrides that a trigger may bring.

Decides which triggers are acceptable and which two may share a run. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from schemas.settings import CONNECTION, Settings, TrainerSettings
from schemas.training import Trigger
from schemas.trigger_params import label_shuffle_of, settings_for


class Request(BaseModel):
    """One run as it is asked for: the marker ``request`` of its folder.

    ``settings`` hold the overrides already. Settings that another version knew are left out when it is read,
    and those that it did not know have their defaults: a run goes on after an upgrade, and after its undoing.
    How Kafka and Milvus are reached is not kept, see ``connected``.
    ``refit`` False: a refresh that leaves coefficients and ranker as they serve. ``version`` rises when those
    that know only earlier ones would do something else than is asked; they refuse it.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    run_id: str
    trigger_ids: list[str]
    settings: TrainerSettings
    base: Literal["live", "pristine"] = "live"
    force: bool = False
    force_reason: str | None = None
    dry_run: bool = False
    label_shuffle_seed: int | None = None
    refit: bool = True
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @field_validator("settings", mode="before")
    @classmethod
    def _of_any_version(cls, settings: object) -> object:
        if isinstance(settings, dict):
            known = TrainerSettings.model_fields.keys() - CONNECTION
            return {name: value for name, value in settings.items() if name in known}
        return settings

    @field_serializer("settings")
    def _without_connection(self, settings: TrainerSettings) -> dict[str, object]:
        return settings.model_dump(mode="json", exclude=set(CONNECTION))

    def connected(self, environ: Mapping[str, str]) -> Self:
        """Return the request with the connections of this process: those of the folder would be of yesterday.

        Raises ``SettingsError``.
        """
        own = Settings.load(environ).model_dump(include=set(CONNECTION))
        return self.model_copy(update={"settings": self.settings.model_copy(update=own)})

    @classmethod
    def of(cls, run_id: str, trigger: Trigger, settings: TrainerSettings) -> Self:
        """Build the request of a trigger.

        Raises ``TriggerError`` for a force without reason and for params outside the list.
        """
        merged = settings_for(trigger, settings)
        return cls(
            run_id=run_id,
            trigger_ids=[trigger.trigger_id],
            settings=merged,
            base=trigger.base,
            force=trigger.force,
            force_reason=trigger.force_reason,
            dry_run=trigger.dry_run,
            label_shuffle_seed=label_shuffle_of(trigger),
        )

    def same_work(self, other: "Request") -> bool:
        """Say whether one run can answer both."""
        asked = {"settings", "base", "force", "dry_run", "label_shuffle_seed"}
        return self.model_dump(include=asked) == other.model_dump(include=asked)
