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


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_gzip_of_several_members_is_unpacked_up_to_the_bound(size: int):
    packed = gzip.compress(b"a" * size) + gzip.compress(b"")
    assert unpacked(packed, 100) == b"a" * size
    over = unpacked(packed + gzip.compress(b"b" * (101 - size)), 100)
    assert isinstance(over, HttpFault)
    assert over.status == 413


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"a")[:-1], gzip.compress(b"a") + b"rest"])
def test_what_is_no_whole_gzip_is_refused(packed: bytes):
    assert isinstance(unpacked(packed, 100), HttpFault)
