"""The header of W3C Trace Context, as it comes from anybody."""

import pytest

from schemas.traceparent import parent_in

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (GOOD, GOOD),
        (None, None),
        ("", None),
        (GOOD.upper(), None),
        (GOOD[:-1], None),
        (f"{GOOD}-more", None),
        (f"cc{GOOD[2:]}-more", f"cc{GOOD[2:]}"),
        (f"cc{GOOD[2:]}more", None),
        (f"ff{GOOD[2:]}", None),
        ("00-" + "0" * 32 + GOOD[35:], None),
        (GOOD[:36] + "0" * 16 + "-01", None),
        (f"{GOOD}\n", None),
        ("\xff" * 55, None),
    ],
)
def test_what_is_none_is_not_passed_on(said: str | None, taken: str | None):
    assert parent_in(said) == taken
