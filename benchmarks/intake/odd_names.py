"""Header names of any bytes, as clients of other makes send them."""

from typing import Self


class OddName(str):
    """A header name that is written as the bytes it was made of."""

    __slots__ = ("raw",)
    raw: bytes

    def __new__(cls, raw: bytes) -> Self:
        """Make one that is shown with escapes."""
        made = super().__new__(cls, raw.decode(errors="backslashreplace"))
        made.raw = raw
        return made

    def encode(self, *_: object) -> bytes:
        """Return the bytes."""
        return self.raw
