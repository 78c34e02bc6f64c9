"""What UBI 1.3.0 asks of a query and of an event record, restated as strict models.

Types, lengths, what is required. The original says ``oneOf`` where both branches take any text up to 100
characters (``action_name``, ``query_id``), which read to the letter refuses its own examples; what is meant,
and restated here, is text up to 100 characters. A position has an ordinal or an ``xy``, not both.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(strict=True, max_length=100)]
Instant = Annotated[
    str, StringConstraints(strict=True, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$")
]


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Optional(_Open):
    """UBI's optional fields may be absent, but not null."""

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(v is None for v in value.values()):
            raise ValueError("null")
        return value


class XY(_Open):
    x: float
    y: float


class Position(_Optional):
    ordinal: int = -1
    xy: XY | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "Position":
        if ("ordinal" in self.model_fields_set) == ("xy" in self.model_fields_set):
            raise ValueError("an ordinal or an xy")
        return self


class UbiObject(_Optional):
    object_id: Annotated[str, Field(max_length=256)] | int
    object_id_type: Name = ""
    object_id_field: Name = ""
    internal_id: Annotated[str, Field(max_length=256)] | int = ""


class EventAttributes(_Optional):
    object: UbiObject | None = None
    position: Position


class UbiEvent(_Optional):
    action_name: Name
    timestamp: Instant
    application: Name = ""
    query_id: Name = ""
    session_id: Name = ""
    client_id: Name = ""
    user_id: Name = ""
    message_type: Name = ""
    message: Annotated[str, Field(max_length=1024)] = ""
    event_attributes: EventAttributes | None = None


class UbiQuery(_Optional):
    user_query: str
    timestamp: Instant
    application: Name = ""
    query_id: Name = ""
    client_id: Name = ""
    query_attributes: dict[str, Any] = {}
    object_id_field: Name = ""
    query_response_id: str = ""
    query_response_hit_ids: list[str] = []


def is_instant(text: str) -> bool:
    """Say whether the text is a date and time, which the pattern alone does not."""
    return datetime.fromisoformat(text).tzinfo is not None
