"""Whether a client's clock, which stamps its requests, is another than ours.

Pure; times are epoch milliseconds. The broker keeps the client's time, so a request is late for two reasons
that look alike: it has waited, or the clock is behind. They are told apart where everything before it had
been read: what came after that moment cannot have been sent long before it.
"""

TOLERANCE_MS = 2000.0


def skew_ms(sent_ms: int | None, *, read_up_ms: float | None, now_ms: float) -> float:
    """Return how far the record's time is behind (negative) or ahead of what ours can have been.

    0 where nothing can be said. ``read_up_ms`` is the last moment at which nothing was left to read, before
    this record came; None when there was none.

    >>> skew_ms(1_000, read_up_ms=61_000.0, now_ms=61_050.0)
    -60000.0
    >>> skew_ms(661_000, read_up_ms=None, now_ms=61_000.0)
    600000.0
    >>> skew_ms(1_000, read_up_ms=None, now_ms=61_050.0)
    0.0
    >>> skew_ms(60_990, read_up_ms=61_000.0, now_ms=61_050.0)
    0.0
    """
    if sent_ms is None:
        return 0.0
    if sent_ms > now_ms + TOLERANCE_MS:
        return sent_ms - now_ms
    if read_up_ms is not None and sent_ms < read_up_ms - TOLERANCE_MS:
        return sent_ms - read_up_ms
    return 0.0
