"""Decide by its answers to the last requests whether a new generation may serve.

Pure; its answers are shown to nobody. Errors and hits that are missing refuse it; latency is only reported,
because the first seconds beside a serving generation say little about it. The searcher that refuses serves on
with what it has, says so, and the indexer rolls back.
"""

from dataclasses import dataclass

MORE_EMPTY = 0.02


class ShadowError(RuntimeError):
    """A generation that opened well and answers badly: says by what."""


@dataclass(frozen=True)
class Replay:
    """How one generation answered the requests.

    How many failed, how many found nothing, the median in milliseconds.
    """

    asked: int
    errors: int
    empty: int
    p50_ms: float


def objection(new: Replay, live: Replay) -> str | None:
    """Return why the new generation must not serve, or None. No requests: no objection.

    An error that the live one makes too is not the new one's fault; one more request without hits may be
    chance.

    >>> objection(Replay(50, 0, 3, 9.0), Replay(50, 0, 1, 9.0))
    'no hits for 3 of the last 50 requests, 1 with the live generation'
    >>> objection(Replay(50, 0, 2, 9.0), Replay(50, 0, 1, 9.0))
    """
    if new.errors > live.errors:
        return f"{new.errors} of the last {new.asked} requests fail, {live.errors} with the live generation"
    if new.empty > live.empty + max(1, int(MORE_EMPTY * new.asked)):
        return (
            f"no hits for {new.empty} of the last {new.asked} requests, {live.empty} with the live generation"
        )
    return None
