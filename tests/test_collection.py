"""The tests that two workers collect have the same names, whatever the second, the process or the machine."""

import os

import pytest


@pytest.mark.parametrize("packed", [b"plain", os.urandom(8) + b"\x00", b"\x1f\x8b\x08"])
def test_bytes_that_are_no_text_do_not_name_a_test(request: pytest.FixtureRequest, packed: bytes):
    name = request.node.name.split("[")[1]
    assert name in ({"plain]"} if packed == b"plain" else {"packed0]", "packed1]"}), name
