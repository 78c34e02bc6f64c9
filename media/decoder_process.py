"""Have pictures prepared in a child process: what a file does to its decoder, it does to nobody else.

The child gets nothing of our environment, a limit of memory, and for each picture one of time. What it
answers is no more believed than a file: one that a picture has taken over is ended.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from typing import Self

from media.decoder_frames import HELLO, LENGTH_BYTES, PREPARED, REFUSED
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

_START_S = 60.0
_MOST_BYTES = 2 * 2**20  # of an answer: a prepared picture of noise takes a fifth


class DecoderStartError(RuntimeError):
    """The child does not come up: no picture's fault."""


class DecoderProcess:
    """One child, started with the first picture, and anew after a picture that ended it."""

    def __init__(self, *, seconds: float = 30.0, command: tuple[str, ...] = ("-m", "media.decoder")) -> None:
        self._seconds = seconds
        self._command = command
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def prepare(self, data: bytes) -> bytes | Rejection:
        """Return what ``media.images.prepare`` does. A child that ends or is late is an ``image_decode``.

        Raises ``DecoderStartError``.
        """
        async with self._turn:
            child = self._child or await self._started()
            try:
                async with asyncio.timeout(self._seconds):
                    return await _asked(child, data)
            except TimeoutError:
                await self._end()
                return refuse(Reason.IMAGE_DECODE, message=f"not decoded within {self._seconds:g} s")
            except (asyncio.IncompleteReadError, ConnectionError, ValueError):
                await self._end()
                return refuse(Reason.IMAGE_DECODE, message="ended its decoder")
            except BaseException:  # half a frame lies in the pipe
                await self._end()
                raise

    async def _started(self) -> Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
        )
        self._child = child
        assert child.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                hello = await child.stdout.read(1)
        except BaseException:
            await self._end()
            raise
        if hello != HELLO:
            await self._end()
            raise DecoderStartError("the decoder of pictures does not start; its lines above say why")
        return child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            if child.returncode is None:
                child.kill()
            await child.communicate()  # what lies in its pipes goes with it


async def _asked(child: Process, data: bytes) -> bytes | Rejection:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(len(data).to_bytes(LENGTH_BYTES, "big"))
    child.stdin.write(data)
    await child.stdin.drain()
    kind = await child.stdout.readexactly(1)
    length = int.from_bytes(await child.stdout.readexactly(LENGTH_BYTES), "big")
    if length > _MOST_BYTES or kind not in {PREPARED, REFUSED}:
        raise ValueError("no answer of a decoder")
    body = await child.stdout.readexactly(length)
    return body if kind == PREPARED else Rejection.from_json(body)
