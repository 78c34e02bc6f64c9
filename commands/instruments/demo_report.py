"""What the demo tells.

The line of the step that runs, and the report with every promise that did not hold.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Self

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from commands.support.session import err, out


@dataclass
class Report:
    """What the demo found. ``faults`` names every promise that did not hold."""

    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, promise: str) -> None:
        """Note a promise; one that does not hold is a fault."""
        out.print(
            Text.assemble("  ", ("holds", "green") if holds else ("BROKEN", "bold red"), f"  {promise}")
        )
        if not holds:
            self.faults.append(promise)


class Stage:
    """A line that lives while a step runs: what is done, and for how long."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()
        self._live = Live(console=err, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        """Start the line."""
        self._live.start()
        self.say("")
        return self

    def __exit__(self, *_: object) -> None:
        """End the line, and leave how long the step took."""
        self._live.stop()
        out.print(Text.assemble((f"{time.monotonic() - self._started:6.1f} s", "dim"), f"  {self._text}"))

    def say(self, detail: str) -> None:
        """Show where the step is."""
        self._live.update(
            Spinner("dots", Text(f"{self._text}  {detail}  {time.monotonic() - self._started:.0f} s"))
        )
