"""What is kept in memory of things that come without end, and pages of it."""

import pytest

from api.asked_page import asked_page
from api.bodies import HttpFault
from api.newest import LONGEST_PAGE, Newest, page_of


def test_the_oldest_go_when_there_are_too_many_or_they_are_too_large():
    few: Newest[int] = Newest(2)
    for number in (1, 2, 3):
        few.put(str(number), number)
    assert (list(few), few.get("1"), len(few)) == ([3, 2], None, 2)

    small: Newest[int] = Newest(10, held_bytes=100)
    for number in (1, 2, 3):
        small.put(str(number), number, size=40)
    small.put("2", 20, size=45)
    assert small.items() == [("2", 20), ("3", 3)]
    small.drop("3")
    small.put("4", 4, size=55)
    assert list(small) == [4, 20]


def test_pages_follow_each_other_to_the_end():
    items, found, after = [f"i{n}" for n in range(5)], list[str](), None
    for _ in range(3):
        page = page_of(items, str, limit=2, after=after)
        assert not isinstance(page, HttpFault)
        found += page[0]
        after = page[1]
    assert (found, after) == (items, None)
    assert page_of(items[:2], str, limit=2, after=None) == (["i0", "i1"], None)
    assert page_of([], str, limit=2, after=None) == ([], None)
    gone = page_of(items, str, limit=2, after="gone")
    assert isinstance(gone, HttpFault)
    assert gone.status == 400


@pytest.mark.parametrize(
    "said",
    [
        [("limit", "0")],
        [("limit", str(LONGEST_PAGE + 1))],
        [("limit", "9" * 5000)],
        [("limit", "-1")],
        [("limit", "\u0665")],
        [("limit", "")],
        [("limit", "1"), ("limit", "2")],
        [("offset", "1")],
    ],
)
def test_a_page_that_makes_no_sense_is_refused(said: list[tuple[str, str]]):
    found = asked_page(said)
    assert isinstance(found, HttpFault)
    assert (found.status, found.code) == (400, "invalid_request")
