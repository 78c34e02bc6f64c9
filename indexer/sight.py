"""Whether the click guard sees anything.

Searches that searchers say they answered come back as sealed events. A guard that counts nothing finds
nothing wrong, and looks like one that is content. Pure; time is handed in, in seconds.
"""

from dataclasses import dataclass

LATE_S = 120.0  # how long a search may take from its answer to ``events``
ENOUGH = 500
SHARE = 0.01


@dataclass(frozen=True)
class _Look:
    at: float
    answers: int
    came: int


class Sight:
    """Looks at one promotion at a time, the one of the newest ``sequence``."""

    def __init__(self) -> None:
        self._sequence = -1
        self._first = self._due = _Look(0.0, 0, 0)
        self._newer: _Look | None = None

    def blind(self, sequence: int, answers: int, came: int, now: float) -> str | None:
        """Return what is missing, or None.

        ``answers``: with the live generation, by the reports; ``came``: of them as sealed events. Of what was
        answered ``LATE_S`` ago and earlier at least ``SHARE`` must have come: searches without a shopper make
        no event.
        """
        look = _Look(now, answers, came)
        if sequence != self._sequence or answers < self._due.answers:
            self._sequence, self._first, self._due, self._newer = sequence, look, look, None
        if self._newer is None:
            self._newer = look
        elif now - self._newer.at >= LATE_S:
            self._due, self._newer = self._newer, look
        answered, seen = self._due.answers - self._first.answers, came - self._first.came
        if answered < ENOUGH or seen >= SHARE * answered:
            return None
        return (
            f"{answered} searches were answered with the live generation, {seen} of them came back on "
            "events with a seal: "
            "does stream keep up, do the searchers write searches (emit_searches) and are they of this "
            "version?"
        )
