"""A request that may carry a picture, from its bytes."""

import json
from base64 import b64encode, encodebytes
from typing import Any

import pytest

from schemas.bounds import IMAGE_BYTES, IMAGE_CHARS, QUERY_CHARS, REQUEST_BYTES
from schemas.rejections import Reason, Rejection
from schemas.request_reading import read_request
from schemas.search import SearchRequest

PICTURE = bytes(range(256)) * 4
BROKER_DEFAULT = 1_048_588


def body(**fields: object) -> bytes:
    return json.dumps({"request_id": "r", "user_query": "tv", **fields}).encode()


def refused(raw: bytes) -> tuple[str, str]:
    found = read_request(raw)
    assert isinstance(found, Rejection), found
    return found.reason.value, found.problems[0].loc


def test_a_picture_is_its_bytes_here_and_base64_on_the_topic() -> None:
    found = read_request(body(image=b64encode(PICTURE).decode()))
    assert isinstance(found, SearchRequest)
    assert (found.image, found.image_weight) == (PICTURE, 0.5)
    assert json.loads(found.to_json())["image"] == b64encode(PICTURE).decode()
    assert read_request(found.to_json()) == found
    assert SearchRequest(request_id="r", image=PICTURE).user_query == ""


def test_slashes_may_be_escaped_as_php_does() -> None:
    escaped = body(image=b64encode(b"\xff" * 60_000).decode()).replace(b"/", b"\\/")
    found = read_request(escaped)
    assert isinstance(found, SearchRequest)
    assert found.image == b"\xff" * 60_000


@pytest.mark.parametrize("said", ["", "  ", None])
def test_a_picture_that_says_nothing_is_absent(said: str | None) -> None:
    found = read_request(body(image=said, image_weight=None))
    assert isinstance(found, SearchRequest)
    assert (found.image, found.image_weight) == (None, 0.5)


@pytest.mark.parametrize(
    "said",
    [
        "!", "AAA", "A", "AAA=A", "AA==AA==", "====", "\u00e9A==", "data:image/png;base64,AAAA", "AA-_",
        encodebytes(PICTURE).decode(), 7, [], {}, True,
    ],
)  # fmt: skip
def test_what_is_no_base64_is_refused_without_being_repeated(said: Any) -> None:
    found = read_request(body(image=said))
    assert isinstance(found, Rejection)
    assert (found.reason, found.problems[0].loc) == (Reason.SCHEMA, "image")
    assert str(said) not in found.problems[0].message.split()


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "-0.01", "1.01", '"half"', "[]"])
def test_a_weight_is_a_share(raw: str) -> None:
    found = read_request(body(image="AAAA")[:-1] + b', "image_weight": ' + raw.encode() + b"}")
    assert isinstance(found, Rejection)


@pytest.mark.parametrize("weight", [0, 0.25, 1])
def test_a_share_from_none_to_all_is_taken(weight: float) -> None:
    found = read_request(body(image="AAAA", image_weight=weight))
    assert isinstance(found, SearchRequest)
    assert found.image_weight == weight


def test_the_greatest_picture_is_taken_beside_the_greatest_request_and_fits_any_broker() -> None:
    whole = body(image=b64encode(bytes(IMAGE_BYTES)).decode(), user_query="\u00e9" * QUERY_CHARS)
    assert isinstance(read_request(whole), SearchRequest)
    assert REQUEST_BYTES + IMAGE_CHARS < BROKER_DEFAULT - 10_000


def test_a_picture_that_is_larger_is_refused_as_one() -> None:
    """Whether or not the whole record is."""
    for size in (IMAGE_BYTES + 1, IMAGE_BYTES + REQUEST_BYTES, 20 << 20):
        assert refused(body(image=b64encode(bytes(size)).decode())) == ("image_too_large", "image")


def test_a_picture_is_no_room_for_anything_else() -> None:
    filters = [{"field": "brand", "op": "in", "value": ["x" * 1000] * 100}]
    for image in ("AAAA", b64encode(PICTURE).decode(), '"image":"' + "A" * 90_000):
        assert refused(body(image=image, filters=filters)) == ("too_large", "")
    assert refused(body(padding="x" * REQUEST_BYTES)) == ("too_large", "")
    assert refused(body(user_query='"image":"' + "A" * REQUEST_BYTES)) == ("too_large", "")
