"""The two bases of every message: ``Message`` for what others send us, ``Fact`` for what searchloop itself writes."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))


class Message(BaseModel):
    """A message of an open topic. Unknown fields are ignored, so that producers may run ahead of us."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def to_json(self) -> bytes:
        """Return the UTF-8 JSON of the message; absent optional fields are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse one message. Raises ``pydantic.ValidationError``."""
        return cls.model_validate_json(raw)


class Fact(Message):
    """A message that only searchloop writes: a name we do not know is a fault, except from a later version."""


def parse_timestamp(value: object) -> object:
    """Read an epoch number (seconds, milliseconds, microseconds or nanoseconds, by magnitude) as an aware datetime.

    Anything else goes to pydantic as it is. Digit strings count as numbers; ``bool`` does not.
    """
    if isinstance(value, str) and value.lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        for floor, unit in _EPOCH_UNITS:
            if abs(value) >= floor:
                try:
                    return datetime.fromtimestamp(value / unit, UTC)
                except (ValueError, OverflowError, OSError) as error:
                    raise ValueError("timestamp out of range") from error
    return value


def _canonical_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _iso_millis(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# An id: text of 1 to 256 characters without control characters; an integer is taken as its decimal text.
_ID_TEXT = Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
Id = Annotated[str, BeforeValidator(_canonical_id, json_schema_input_type=Annotated[str, _ID_TEXT] | int), _ID_TEXT]
# Event time. Naive values stay naive here: intake refuses or assumes UTC, by its setting.
Timestamp = Annotated[
    datetime,
    BeforeValidator(parse_timestamp, json_schema_input_type=datetime | float),
    PlainSerializer(_iso_millis, when_used="json"),
]
