"""The pictures of requests: what is prepared, what is refused, and that nobody waits for ever."""

import asyncio
import time
from dataclasses import replace

import pytest

from media.decoder_process import DecoderProcess
from media.images import prepare
from schemas.bounds import IMAGE_BYTES
from schemas.rejections import Reason
from schemas.search import SearchResponse, Status
from searcher.admission import Admission
from searcher.preparing import Preparing, prepared
from searcher.replying import Reply
from searcher.requests import Accepted
from searcher.serving import Server
from tests.media.hostile_pictures import encoded, hostile, photo, png
from tests.searcher.asking import asked, record

PICTURE = encoded(photo(), "JPEG")
# A decoder that takes its time for one file, and gives back what it gets.
SLOW = """
import sys, time
sys.stdout.buffer.write(b"!"); sys.stdout.buffer.flush()
while head := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
    if data == b"slow": time.sleep(600)
    sys.stdout.buffer.write(b"+" + len(data).to_bytes(8, "big") + data); sys.stdout.buffer.flush()
"""


def request(image: bytes, timeout_ms: int = 600_000, sent_s_ago: float = 0.0) -> Accepted:
    at_ms = int((time.time() - sent_s_ago) * 1000)
    return asked("r", user_query="", image=image, timeout_ms=timeout_ms, at_ms=at_ms).accepted


def refusal(found: bytes | SearchResponse) -> tuple[Status, str | None]:
    assert isinstance(found, SearchResponse)
    return found.status, found.error.code if found.error else None


async def test_a_picture_is_prepared_as_those_of_the_catalogue_are() -> None:
    async with DecoderProcess() as decoder:
        found = await prepared(request(PICTURE), decoder)
        assert found == prepare(PICTURE)
        assert await prepared(request(found), decoder) == found, "what a client has prepared stays as it is"


async def test_every_hostile_file_is_answered_with_its_reason_and_the_next_is_prepared() -> None:
    files = [one for one in hostile() if one.reason and 0 < len(one.data) <= IMAGE_BYTES]
    assert {one.reason for one in files} == {
        Reason.IMAGE_FORMAT, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_DECODE,
    }  # fmt: skip
    async with DecoderProcess() as decoder:
        for one in files:
            found = await prepared(request(one.data), decoder)
            assert refusal(found) == (Status.REJECTED, one.reason), one.name
            assert isinstance(found, SearchResponse)
            assert found.error is not None
            assert not found.error.retryable
            assert found.error.message.startswith("image: ")
        assert await prepared(request(PICTURE), decoder) == prepare(PICTURE)
        assert refusal(await prepared(request(png(1, 1)), decoder)) == (Status.REJECTED, "image_format")


async def test_no_picture_is_decoded_for_longer_than_its_request_waits() -> None:
    async with DecoderProcess(command=("-c", SLOW)) as decoder:
        await decoder.prepare(b"up")
        assert refusal(await prepared(request(b"slow", 300), decoder)) == (Status.EXPIRED, "expired")
        assert refusal(await prepared(request(b"x", 300, 1.0), decoder)) == (Status.EXPIRED, "expired")
        assert await prepared(request(b"next"), decoder) == b"next"


async def test_a_decoder_that_does_not_start_is_told_and_ends_nothing() -> None:
    async with DecoderProcess(command=("-c", "raise SystemExit(3)")) as decoder:
        for _ in range(2):
            found = await prepared(request(PICTURE), decoder)
            assert refusal(found) == (Status.ERROR, "processing_error")


@pytest.fixture
def desk() -> Admission:
    return Admission({"answers": 1}, "answers", "main", refuse=Server._rejected)


async def test_pictures_that_come_are_prepared_and_then_wait_for_their_turn(desk: Admission) -> None:
    written: list[Reply] = []
    ready = asyncio.Event()

    async def finish(replies: list[Reply]) -> None:
        written.extend(replies)

    preparing = Preparing(desk, finish=finish, ready=ready.set)
    running = asyncio.create_task(preparing.run())
    now_ms = time.time() * 1000
    for request_id, image in (("good", PICTURE), ("bad", b"<svg/>")):
        read = record(request_id, image=image, client_id=request_id, timeout_ms=600_000, at_ms=int(now_ms))
        assert desk.take_in(read, now_ms=now_ms, read_up_ms=None) == []
    text = record("text", at_ms=int(now_ms), timeout_ms=600_000)
    assert desk.take_in(text, now_ms=now_ms, read_up_ms=None) == []
    assert [one.accepted.request.request_id for one in desk.take(9, heavy_too=True)] == ["text"]
    preparing.look()
    async with asyncio.timeout(120):
        while not written or not (taken := desk.take(9, heavy_too=True)):
            ready.clear()
            await ready.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)  # its child has ended then
    assert [(one.response.request_id, refusal(one.response)) for one in written] == [
        ("bad", (Status.REJECTED, "image_format"))
    ]
    (good,) = taken
    assert (good.accepted.request.image, good.accepted.request.user_query) == (prepare(PICTURE), "tv")
    assert good.accepted == replace(good.accepted, record=replace(good.accepted.record, value=None))
