"""The pictures of requests, prepared as those of the catalogue are: by the same code, one by one, in a child.

Beside all else: a picture that decodes slowly holds up other pictures only, and no longer than its request
may wait. The child is started with the first picture.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from media.decoder_process import DecoderProcess, DecoderStartError
from schemas.rejections import Rejection
from schemas.search import SearchResponse
from searcher.admission import Admission
from searcher.endings import expired, failed, unfit
from searcher.replying import Reply
from searcher.requests import Accepted

log = structlog.get_logger(__name__)

MOST_S = 10.0  # for one picture


class Preparing:
    """Takes requests from ``admission`` and gives them back with prepared pictures. Run ``run`` as one task.

    ``finish`` writes answers, ``ready`` hears of each request that now waits for its turn.
    """

    def __init__(
        self,
        admission: Admission,
        *,
        finish: Callable[[list[Reply]], Awaitable[object]],
        ready: Callable[[], object],
    ) -> None:
        self._admission = admission
        self._finish = finish
        self._ready = ready
        self._come = asyncio.Event()

    def look(self) -> None:
        """Say that requests with pictures may have come."""
        self._come.set()

    async def run(self) -> None:
        """Prepare until cancelled. Raises what ``finish`` does."""
        async with DecoderProcess(seconds=MOST_S) as decoder:
            while True:
                if (one := self._admission.next_picture()) is None:
                    self._come.clear()
                    await self._come.wait()
                    continue
                found = await prepared(one, decoder)
                await self._finish(self._admission.prepared(found, now_ms=time.time() * 1000))
                self._ready()


async def prepared(one: Accepted, decoder: DecoderProcess) -> bytes | SearchResponse:
    """Return the prepared picture of a request, or the answer that it gets in place of one."""
    try:
        async with asyncio.timeout(one.remaining_ms(time.time() * 1000) / 1000):
            found = await decoder.prepare(one.request.image or b"")
    except TimeoutError:
        return expired(one, now_ms=time.time() * 1000, skew_ms=0.0)
    except (DecoderStartError, OSError) as error:
        log.error("a picture was not prepared", reason=str(error))  # noqa: TRY400 (the child has said why)
        return failed(one, type(error).__name__)
    return unfit(one, found) if isinstance(found, Rejection) else found
