"""A picture in a JSON message: its file in base64 (RFC 4648, one line, padded)."""

from base64 import b64encode
from binascii import a2b_base64
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.bounds import IMAGE_BYTES, IMAGE_CHARS

TOO_LARGE = "image_too_large"


def base64_of(data: bytes) -> str:
    """Return a file as a message holds it."""
    return b64encode(data).decode()


def _decoded(value: object) -> object:
    """Return the bytes of a text. Raises ``ValueError`` for one that is blank, too long, or no base64."""
    if isinstance(value, str):
        if len(value) > IMAGE_CHARS:
            raise _too_large()
        if not value.strip():
            raise ValueError("there is no picture in it")  # an optional field that says nothing is absent
        try:
            value = a2b_base64(value, strict_mode=True)
        except ValueError as error:
            raise ValueError("base64 of a file is expected: RFC 4648, one line, padded") from error
    if isinstance(value, bytes) and len(value) > IMAGE_BYTES:
        raise _too_large()
    return value


def _too_large() -> PydanticCustomError:
    return PydanticCustomError(
        TOO_LARGE,
        f"a picture has at most {IMAGE_BYTES} bytes, {IMAGE_CHARS} characters of base64: send a smaller one, "
        "384 pixels a side are seen",
    )


Image = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(base64_of, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "maxLength": IMAGE_CHARS}),
]
