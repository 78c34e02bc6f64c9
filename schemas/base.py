"""The bases of every message.

``Message`` for what others send us, ``Fact`` for what searchloop writes, ``StreamFact`` for the many.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import PydanticCustomError, core_schema

from schemas.bounds import FIRST_EPOCH, FIRST_YEAR, ID_CHARS, ID_GREATEST, ID_LEAST, LAST_EPOCH, LAST_YEAR

_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))
_MAX_DIGITS = 20


class Message(BaseModel):
    """A message of an open topic. Unknown fields are ignored, so that producers may run ahead of us."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def to_json(self) -> bytes:
        """Return the UTF-8 JSON of the message; absent optional fields are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    def has_placeholder(self) -> bool:
        """Say whether an id is one of the words that stand for nobody (``schemas.absent``).

        Cheap: asked of every message that is read.
        """
        return False

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse one message of ours.

        Raises ``pydantic.ValidationError``; what others send is read by ``schemas.decoding``.
        """
        return cls.model_validate_json(raw)


class Fact(Message):
    """A message that only searchloop writes.

    A name we do not know is a fault, except from a later version.
    """


class StreamFact(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A fact of the stream's own topics, of which there are as many as events.

    It is msgspec's, several times as fast as pydantic's (ADR 0008). Types are checked where it is read, not
    where it is made. Unknown fields are ignored; a field at its default is left out.
    """

    def to_json(self) -> bytes:
        """Return the UTF-8 JSON of the fact."""
        return _ENCODER.encode(self)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse one fact. Raises ``msgspec.DecodeError``."""
        try:
            return msgspec.json.decode(raw, type=cls)
        except DAMAGED as error:
            raise msgspec.DecodeError(str(error)) from error


_ENCODER = msgspec.json.Encoder()
# What msgspec raises besides for bytes that are no text, and for brackets without end.
DAMAGED = (UnicodeDecodeError, RecursionError)
# What ``from_json`` of either kind of fact raises.
UNREADABLE = (ValidationError, msgspec.DecodeError)


def parse_timestamp(value: object) -> object:
    """Read an epoch number as an aware datetime.

    It is in seconds, milliseconds, microseconds or nanoseconds, by magnitude. Anything else goes to pydantic
    as it is. Digit strings count as numbers; ``bool`` does not.
    """
    if (
        isinstance(value, str)
        and len(value) <= _MAX_DIGITS
        and value.isascii()
        and value.removeprefix("-").isdigit()
    ):
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        for floor, unit in _EPOCH_UNITS:
            if abs(value) >= floor:
                try:
                    return datetime.fromtimestamp(value / unit, UTC)
                except (ValueError, OverflowError, OSError) as error:
                    raise ValueError("timestamp out of range") from error
    return value


def _within_years(value: datetime) -> datetime:
    """Refuse what no zone, no clock and no four digits can hold. Raises ``ValueError``."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a time of the years {FIRST_YEAR} to {LAST_YEAR} is expected")
    return value


def refuse_bool(value: object) -> object:
    """Let anything but true and false through: pydantic takes them for the numbers 1 and 0.

    Raises ``ValueError``.
    """
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")  # noqa: TRY004 (pydantic makes a problem of a ValueError only)
    return value


def _iso_millis(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Not blank, and no control characters.
NO_CONTROL = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
# An id: text of 1 to 256 characters, not blank, without control characters; an integer is taken as its
# decimal text. The text comes first, and no Python runs for it: of all that is validated, ids are the most.
_ID_ERROR: Any = {
    "custom_error_type": "id",
    "custom_error_message": (
        f"An id is text of 1 to {ID_CHARS} characters without control characters, or an integer of 64 bits"
    ),
}
_ID = core_schema.union_schema(
    [
        core_schema.str_schema(min_length=1, max_length=ID_CHARS, pattern=NO_CONTROL),
        core_schema.no_info_after_validator_function(
            str, core_schema.int_schema(strict=True, ge=ID_LEAST, le=ID_GREATEST)
        ),
    ],
    mode="left_to_right",
    **_ID_ERROR,
)
Id = Annotated[str, GetPydanticSchema(lambda _source, _handler: _ID)]
# An id that may be absent, for which many clients send "". The contract does not say so: nobody should.
_NO_ID = core_schema.no_info_after_validator_function(lambda _: None, core_schema.str_schema(max_length=0))
_OPTIONAL_ID = core_schema.nullable_schema(
    core_schema.union_schema([*_ID["choices"], _NO_ID], mode="left_to_right", **_ID_ERROR)
)
OptionalId = Annotated[
    str | None,
    GetPydanticSchema(
        lambda _source, _handler: _OPTIONAL_ID,
        lambda _schema, handler: handler(core_schema.nullable_schema(_ID)),
    ),
]


def _major(value: object) -> int:
    """Read ``"1"``, ``"1.4"`` and ``1.2`` as version 1, and refuse every other."""
    if str(value).partition(".")[0] != "1":
        raise PydanticCustomError("unsupported_version", "only major version 1 is known here")
    return 1


SchemaVersion = Annotated[int, Field(ge=1, le=1), BeforeValidator(_major)]
# Event time. Naive values stay naive here: intake refuses or assumes UTC, by its setting.
Timestamp = Annotated[
    datetime,
    AfterValidator(_within_years),
    BeforeValidator(
        parse_timestamp,
        json_schema_input_type=datetime | Annotated[float, Field(ge=FIRST_EPOCH, le=LAST_EPOCH)],
    ),
    PlainSerializer(_iso_millis, when_used="json"),
]
# A time in what controls training and deployment, where no setting says what a naive one means: it is UTC.
ControlTime = Annotated[Timestamp, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]
