"""What a body asks, and how much of pictures is held until they are answered."""

import asyncio
import json
from base64 import b64encode
from typing import cast

import httpx
import pytest

from api.application import application
from api.bodies import Capacity, HttpFault
from api.front_door import FrontDoor
from api.keyring import Keyring
from api.search_forms import batch_of, request_of_body
from api.search_routes import search_routes
from api.searching import HttpAnswer, Searching
from broker.records import Headers, Record
from broker.requesting import Requester
from schemas.bounds import IMAGE_BYTES, REQUEST_BYTES, SEARCH_BATCH_BYTES, SEARCH_BATCH_IMAGES
from schemas.keys import Role, new_key
from schemas.search import SearchRequest, SearchResponse, Status
from tests.api.test_keyring import kept, ring
from tests.waiting import until

PICTURE = b64encode(bytes(IMAGE_BYTES)).decode()


def told(found: object) -> tuple[int, str]:
    assert isinstance(found, HttpFault), found
    return found.status, found.code


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_the_greatest_picture_is_taken_and_what_stands_beside_it_is_bounded_as_ever():
    found = request_of_body(body(image=PICTURE))
    assert isinstance(found, SearchRequest)
    assert found.image == bytes(IMAGE_BYTES)
    assert told(request_of_body(body(image=PICTURE + "AAAA"))) == (413, "image_too_large")
    assert told(request_of_body(body(image=PICTURE, more="x" * REQUEST_BYTES))) == (413, "invalid_request")
    assert told(request_of_body(body(user_query="x" * REQUEST_BYTES))) == (413, "invalid_request")
    assert told(request_of_body(body(image="no base64"))) == (400, "invalid_request")


def test_a_batch_holds_a_few_pictures_and_the_texts_that_it_always_held():
    found = batch_of(body(requests=[{"image": PICTURE}] * SEARCH_BATCH_IMAGES + [{"image": "?"}]))
    assert isinstance(found, list)
    assert [isinstance(one, SearchRequest) for one in found] == [True] * SEARCH_BATCH_IMAGES + [False]
    more = body(requests=[{"image": PICTURE}] * (SEARCH_BATCH_IMAGES + 2))
    assert told(batch_of(more)) == (413, "image_too_large")
    assert told(batch_of(body(requests=[], more="x" * SEARCH_BATCH_BYTES))) == (413, "invalid_request")


class Answering:
    """A requester that answers when it is told to, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[SearchRequest] = []
        self.answer = asyncio.Event()

    async def ask(
        self, _: str, value: bytes, *, key: bytes, timeout_s: float, headers: Headers = ()
    ) -> Record:
        request = SearchRequest.from_json(value)
        self.asked.append(request)
        async with asyncio.timeout(timeout_s):
            await self.answer.wait()
        said = SearchResponse(request_id=request.request_id, status=Status.OK)
        return Record("answers", 0, 0, 0, key, said.to_json())


class CountedSearching(Searching):
    """It knows how many searches have begun."""

    begun = 0

    async def answer(
        self, asked: SearchRequest | HttpFault, trace: str | None = None, *, public: bool = False
    ) -> HttpAnswer:
        self.begun += 1
        return await super().answer(asked, trace, public=public)


@pytest.mark.parametrize("batched", [False, True], ids=["one by one", "in batches"])
async def test_pictures_that_wait_for_their_answers_are_bounded_together(batched: bool):
    requester = Answering()
    capacity = Capacity(500, 32 << 20)
    searching = CountedSearching(
        cast("Requester", requester), "requests", capacity, broker_fault=lambda: None, serves=lambda: True
    )
    app = FrontDoor(application([search_routes(searching)]), (), Keyring(), open_to_all=True)
    one: dict[str, object] = {"image": PICTURE, "timeout_ms": 600_000}
    path, asked = ("/v1/search:batch", {"requests": [one] * 5}) if batched else ("/v1/search", one)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        calls = [asyncio.create_task(client.post(path, json=asked)) for _ in range(6 if batched else 30)]
        await until(lambda: searching.begun == 30, "all have come")
        requester.answer.set()
        said = [call.json() for call in await asyncio.gather(*calls)]
        answers = [one for many in said for one in many["responses"]] if batched else said
        codes = [one["error"]["code"] if "error" in one else one["status"] for one in answers]
        assert (codes.count("ok"), codes.count("busy")) == (16, 14), "four copies of 512 KiB are 2 MiB"
        assert (await client.post("/v1/search", json=one)).json()["status"] == "ok", "all is given back"


async def test_searches_of_pages_that_wait_leave_room_for_others():
    """Of a deployment that nobody answers for they wait ten minutes, and whoever sees the page has a key."""
    requester = Answering()
    searching = CountedSearching(
        cast("Requester", requester), "requests", Capacity(4, 1000), broker_fault=lambda: None,
        serves=lambda: True,
    )  # fmt: skip
    in_pages, own = new_key(), new_key()
    shop, roles = "https://shop.example", [Role.SEARCH]
    keys = ring(kept(in_pages, roles=roles, origins=[shop]), kept(own, roles=roles))
    app = FrontDoor(application([search_routes(searching)]), (), keys, open_to_all=False)
    path = "/v1/search?q=mug&deployment=none&timeout_ms=600000"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        page = {"x-api-key": in_pages, "origin": shop}
        calls = [asyncio.create_task(client.get(path, headers=page)) for _ in range(5)]
        await until(lambda: searching.begun == 5, "all have come")
        calls.append(asyncio.create_task(client.get(path, headers={"x-api-key": own})))
        await until(lambda: searching.begun == 6, "the other one has, too")
        requester.answer.set()
        codes = [call.status_code for call in await asyncio.gather(*calls)]
    assert (sorted(codes[:5]), codes[5]) == ([200, 200, 429, 429, 429], 200)
