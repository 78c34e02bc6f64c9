import asyncio
import os
import sys

import pytest

from media.decoder_process import DecoderProcess, DecoderStartError
from media.images import prepare
from schemas.rejections import Reason, Rejection
from tests.media.hostile_pictures import encoded, photo, png

PICTURE = encoded(photo(), "JPEG")
# A child that is ended, kept or filled by what it is given, and says what of our environment it sees.
CHILD = """
import os, sys, time
sys.stdout.buffer.write(b"!"); sys.stdout.buffer.flush()
while head := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
    if data == b"end": os.abort()
    if data == b"stay": time.sleep(60)
    if data[:5] == b"said ": sys.stdout.buffer.write(data[5:]); sys.stdout.buffer.flush(); continue
    body = os.environ.get("SECRET", "none").encode()
    sys.stdout.buffer.write(b"+" + len(body).to_bytes(8, "big") + body); sys.stdout.buffer.flush()
"""


async def test_what_a_child_prepares_is_what_we_would() -> None:
    async with DecoderProcess() as decoder:
        found = await asyncio.gather(
            *(decoder.prepare(data) for data in (PICTURE, b"<svg/>", PICTURE[:999], PICTURE))
        )
    assert found == [prepare(PICTURE), prepare(b"<svg/>"), prepare(PICTURE[:999]), prepare(PICTURE)]


async def test_a_picture_that_ends_or_keeps_its_decoder_is_refused_and_the_next_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "SECRET", "told")
    async with DecoderProcess(seconds=1, command=("-c", CHILD)) as decoder:
        found = [await decoder.prepare(data) for data in (b"end", b"", b"stay", b"x" * 2**20)]
    assert [f.problems[0].message if isinstance(f, Rejection) else f for f in found] == [
        "ended its decoder", b"none", "not decoded within 1 s", b"none",
    ]  # fmt: skip
    assert {f.reason for f in found if isinstance(f, Rejection)} == {Reason.IMAGE_DECODE}


@pytest.mark.parametrize(
    "said",
    [b"-" + (2).to_bytes(8, "big") + b"{}", b"+" + b"\xff" * 8, b"?" + bytes(8), b"-" + bytes(8)],
    ids=["no refusal", "endless", "no kind", "nothing"],
)
async def test_a_decoder_that_was_taken_over_ends_and_nobody_else(said: bytes) -> None:
    async with DecoderProcess(seconds=5, command=("-c", CHILD)) as decoder:
        found = await decoder.prepare(b"said " + said)
        assert isinstance(found, Rejection)
        assert found.problems[0].message == "ended its decoder"
        assert await decoder.prepare(b"x") == b"none"


async def test_nobody_who_waits_for_one_picture_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cancelled leaves no half of an answer behind."""
    async with DecoderProcess() as decoder:
        await decoder.prepare(PICTURE)
        large = png(3000, 3000)
        cancelled = asyncio.create_task(decoder.prepare(large))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        assert await decoder.prepare(PICTURE) == prepare(PICTURE)


async def test_a_decoder_that_does_not_start_is_no_picture_s_fault() -> None:
    async with DecoderProcess(command=("-c", "raise SystemExit(3)")) as decoder:
        with pytest.raises(DecoderStartError):
            await decoder.prepare(PICTURE)


async def test_the_child_ends_with_its_input() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media.decoder", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await child.communicate(b"")
    assert (said, child.returncode) == (b"!", 0)
