"""How much is held at once, and what a gzip may unpack to."""

import gzip

import pytest

from api.bodies import Capacity, HttpFault, unpacked


def test_a_room_is_as_large_again_when_a_place_is_left_also_twice():
    capacity = Capacity(1, 100)
    place = capacity.enter()
    assert place is not None
    assert capacity.enter() is None
    assert place.take(60)
    assert not place.take(60)
    place.leave()
    place.leave()
    again = capacity.enter()
    assert again is not None
    assert again.take(100)
    assert capacity.enter() is None


def test_half_of_a_room_is_kept_from_those_of_pages():
    capacity = Capacity(3, 100)
    first, second = capacity.enter(public=True), capacity.enter(public=True)
    assert first is not None
    assert second is not None
    assert capacity.enter(public=True) is None
    assert not first.take(51)
    assert first.take(50)
    assert not second.handed_on().take(1)
    other = capacity.enter()
    assert other is not None
    assert other.take(50)


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_gzip_of_several_members_is_unpacked_up_to_the_bound(size: int):
    packed = gzip.compress(b"a" * size) + gzip.compress(b"")
    assert unpacked(packed, 100) == b"a" * size
    over = unpacked(packed + gzip.compress(b"b" * (101 - size)), 100)
    assert isinstance(over, HttpFault)
    assert over.status == 413


def test_a_gzip_of_many_members_does_not_cost_their_number_squared():
    """A body of 250,000 empty ones, which unpack to nothing, kept all others waiting for a minute."""
    assert unpacked(gzip.compress(b"a") * 1000, 1000) == b"a" * 1000
    many = unpacked(gzip.compress(b"") * 1001, 1000)
    assert isinstance(many, HttpFault)
    assert (many.status, many.code) == (400, "content_encoding")


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"a")[:-1], gzip.compress(b"a") + b"rest"])
def test_what_is_no_whole_gzip_is_refused(packed: bytes):
    assert isinstance(unpacked(packed, 100), HttpFault)
