"""How records that are judged share the process with everything else."""

import asyncio
import time
from contextlib import suppress
from typing import cast

from api.bodies import Capacity, Place
from api.judging import Verdict
from api.lasting import LastingProducer
from api.posted import Posted
from api.taking import Taking
from schemas.http import RecordResult
from schemas.settings import ApiSettings


async def test_whoever_waits_gets_a_turn_after_a_costly_record():
    """A hundred records of long texts kept them waiting for seconds."""
    turns = 0

    async def wait() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    def costly(index: int, _: Posted) -> Verdict:
        time.sleep(0.02)
        return Verdict(RecordResult(index=index, status="accepted"))

    taking = Taking(ApiSettings(), cast("LastingProducer", None), Capacity(1, 1), lambda: None)
    waiting = asyncio.create_task(wait())
    said = await taking.take([Posted(b"{}")] * 5, costly, Place(None), write=False)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert not isinstance(said, Exception)
    assert turns >= 4
