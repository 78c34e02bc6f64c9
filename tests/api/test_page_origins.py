"""Which pages are another's, and which names are not ours."""

import pytest

from api.page_origins import other_page, unknown_name

HERE = {"host": "127.0.0.1:8077"}


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {},
        {"host": "localhost:8077"},
        {"host": "[::1]:8077"},
        {"host": "api:8077"},
        {"host": "search.shop.example"},
        {"host": "SEARCH.shop.example.:80"},
        {**HERE, "origin": "http://127.0.0.1:8077", "sec-fetch-site": "same-origin"},
        {**HERE, "sec-fetch-site": "none"},
    ],
)
def test_programs_and_our_own_pages_are_let_in(headers: dict[str, str]):
    assert (unknown_name(headers, {"search.shop.example"}), other_page(headers)) == (None, None)


@pytest.mark.parametrize("host", ["evil.example:8077", "127.0.0.1.evil.example", "[::1"])
def test_a_name_with_a_dot_that_is_not_ours_could_be_anybodys(host: str):
    assert unknown_name({"host": host}, {"search.shop.example"})


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({**HERE, "origin": "https://evil.example"}, "https://evil.example"),
        ({**HERE, "origin": "http://127.0.0.1:3000"}, "http://127.0.0.1:3000"),
        ({**HERE, "origin": "null"}, "null"),
        ({**HERE, "sec-fetch-site": "cross-site"}, ""),
        ({**HERE, "sec-fetch-site": "same-site"}, ""),
    ],
)
def test_a_page_of_another_origin_is_known(headers: dict[str, str], origin: str):
    assert other_page(headers) == origin
