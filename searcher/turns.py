"""Ask the live generation and the one before its promotion the same, in turns, beside what is served.

So that the load of the moment is the same for both: a machine that is busy with other things makes every
search slow, and no generation is to blame for it. The answers are shown to nobody; what they took goes into
the reports.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

import structlog

from retrieval.naming import stamp_of
from retrieval.release import LoadedRelease
from schemas.search import SearchRequest
from searcher.counting import TURNS, Counts
from searcher.recent import Recent
from searcher.replaying import replay

log = structlog.get_logger(__name__)

EVERY_S, SELDOM_S = 3.0, 60.0  # seldom, once there are ``TURNS``

Rivals = tuple[LoadedRelease, LoadedRelease]  # what serves, and what served before its promotion


async def take_turns(
    rivals: Callable[[], Rivals | None],
    recent: Recent,
    counts: Counts,
    executor: Executor,
    stopping: asyncio.Event,
) -> None:
    """Ask again and again until ``stopping``, but no request twice: who is asked nothing costs nothing."""
    asked: SearchRequest | None = None
    number = 0
    while not stopping.is_set():
        both, newest = rivals(), next(iter(recent.last(1)), None)
        if both and newest and newest is not asked:
            asked, number = newest, number + 1
            took = await asyncio.get_running_loop().run_in_executor(executor, in_turns, both, newest, number)
            if took:
                counts.turn(stamp_of(both[0].release), took)
        rest_s = EVERY_S if both and counts.turns_of(stamp_of(both[0].release)) < TURNS else SELDOM_S
        with suppress(TimeoutError):
            async with asyncio.timeout(rest_s if both else EVERY_S):
                await stopping.wait()


def in_turns(rivals: Rivals, request: SearchRequest, number: int) -> tuple[float, float] | None:
    """Return the milliseconds that each took, None where one of them failed. Blocks.

    Which one begins changes from turn to turn. The ``number`` stands in the query, so that neither remembers
    anything of it.
    """
    asked = request.model_copy(update={"user_query": f"{request.user_query} {number}"})
    took = {}
    try:
        for one in rivals if number % 2 else rivals[::-1]:
            answered = replay(one, [asked])
            if answered.errors:
                return None
            took[one.generation] = round(answered.p50_ms, 1)
    except Exception as error:  # a generation may be closed meanwhile; nobody waits for this
        log.info("a turn failed", reason=f"{type(error).__name__}: {error}"[:200])
        return None
    return took[rivals[0].generation], took[rivals[1].generation]
