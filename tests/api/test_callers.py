"""Who is kept out while nobody needs a key."""

import pytest

from api.callers import kept_out

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
    assert kept_out(headers, {"search.shop.example"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8077"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "[::1"},
        {**HERE, "origin": "https://evil.example"},
        {**HERE, "origin": "http://127.0.0.1:3000"},
        {**HERE, "origin": "null"},
        {**HERE, "sec-fetch-site": "cross-site"},
        {**HERE, "sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_others_and_names_that_are_not_ours_are_kept_out(headers: dict[str, str]):
    assert kept_out(headers, {"search.shop.example"})
