"""What a process tells of the requests it has worked on, where a collector of spans is named.

Names, moments in epoch nanoseconds, few attributes; never what was searched for, nor by whom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SpanTold:
    """Something that began and has ended."""

    name: str
    begin_ns: int
    end_ns: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)


class OpenSpan(Protocol):
    """A span that has begun."""

    @property
    def traceparent(self) -> str:
        """What others are given, so that their spans are within this one."""

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """Tell that it ends now."""


class Spans(Protocol):
    """Where spans are told. Nobody waits for it; what the collector does not take is dropped."""

    def begin(self, parent: str | None) -> OpenSpan:
        """Begin the span of a request, within ``parent`` if it came with one."""

    def tell(self, parent: str | None, whole: SpanTold, parts: Sequence[SpanTold]) -> None:
        """Tell of what a request took, and of its parts."""

    def close(self) -> None:
        """Send what waits, for a moment at most."""
