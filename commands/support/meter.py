"""How far a command is, how fast it goes, what is left: on stderr, so that stdout is the result alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from commands.support.session import err

# A look at the clock for each record would cost more than many a record.
_EVERY_S = 0.1


class Meter:
    """Counts what is done. Made by ``metered``."""

    def __init__(self, bar: Progress, what: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=total)
        self._done = 0
        self._shown_s = 0.0

    def advance(self, count: int = 1) -> None:
        """Note that so many more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Note that so many are done by now."""
        self._done = done
        now = time.monotonic()
        if now - self._shown_s >= _EVERY_S:
            self._shown_s = now
            self._bar.update(self._task, completed=done)

    def begin(self, what: str) -> None:
        """Say what is done from now on, which is counted anew."""
        self._done = 0
        self._bar.reset(self._task, description=what, total=None)

    def end(self) -> None:
        """Show the last count."""
        self._bar.update(self._task, completed=self._done)


@contextmanager
def metered(what: str, unit: str = "", *, total: int | None = None) -> Iterator[Meter]:
    """Show ``what`` while the block lasts, with a count of ``unit`` where there is one.

    A moving line on a terminal, and elsewhere nothing: no log needs it.
    """
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        _CountColumn(unit),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )
    with bar:
        meter = Meter(bar, what, total)
        try:
            yield meter
        finally:
            meter.end()


class _CountColumn(ProgressColumn):
    """What is done, of how much, how many in a second, and how long the rest takes at this rate."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(told(int(task.completed), _whole(task.total), self._unit, task.elapsed or 0.0))


def told(done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    """Return a count in words.

    >>> told(3000, 12000, "records", 2.0)
    '3,000 of 12,000 records, 1,500/s, 6 s to go'
    >>> told(0, None, "records", 2.0)
    ''
    """
    if not done or not unit:
        return ""
    words = [f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"]
    if elapsed_s > 0:
        words.append(
            f"{done / elapsed_s:,.0f}/s" if done >= elapsed_s else f"{60 * done / elapsed_s:.1f}/min"
        )
        if total is not None and total > done:
            words.append(f"{(total - done) * elapsed_s / done:.0f} s to go")
    return ", ".join(words)


def _whole(total: float | None) -> int | None:
    return None if total is None else int(total)
