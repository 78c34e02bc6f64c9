"""How long to wait before a child that ended is started again.

Pure: the caller measures and waits. Seconds throughout.
"""

MISUSED = 2  # the exit status of a process that refuses its settings: starting it again would not help

_FIRST_S, _LONGEST_S, _STEADY_S = 0.5, 30.0, 60.0


def next_delay(previous_s: float | None, alive_s: float) -> float:
    """Return the wait: 0.5 s at first, then twice the last one up to 30 s.

    A child that lived for a minute starts anew.

    >>> next_delay(None, alive_s=1), next_delay(0.5, alive_s=1)
    (0.5, 1.0)
    >>> next_delay(20, alive_s=1), next_delay(20, alive_s=60)
    (30.0, 0.5)
    """
    if previous_s is None or alive_s >= _STEADY_S:
        return _FIRST_S
    return min(_LONGEST_S, previous_s * 2)
