"""How long to wait for something that takes longer on a slow or busy machine: as long as anything moves.

Seconds throughout. A limit by the clock says something about the machine; a limit by progress says that
something has stopped.
"""

import time
from collections.abc import Callable


class StuckError(TimeoutError):
    """Nothing has moved for too long.

    Says which step, what it waited for, what it saw last, and what to do.
    """


class Patience:
    """One wait.

    ``saw`` is told what there is to see, as often as one looks; it raises ``StuckError`` once that stays the
    same too long.
    """

    def __init__(
        self,
        step: str,
        waits_for: str,
        *,
        quiet_s: float,
        advice: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._step = step
        self._waits_for = waits_for
        self._quiet_s = quiet_s
        self._advice = advice
        self._clock = clock
        self._seen: object = None
        self._since = clock()

    def saw(self, facts: object) -> None:
        """Note what is to be seen now; equal to the last means that nothing moved."""
        now = self._clock()
        if facts != self._seen:
            self._seen, self._since = facts, now
        elif now - self._since > self._quiet_s:
            seen = "nothing at all" if self._seen is None else self._seen
            raise StuckError(
                f"{self._step}: it waits for {self._waits_for}, and nothing moved for {self._quiet_s:.0f} s; "
                f"what it saw last: {seen}. {self._advice}"
            )
