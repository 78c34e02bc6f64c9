"""Addresses and forms that nobody of ours makes: refused, and never a fault."""

import httpx
import pytest

from api.front_door import FrontDoor
from api.keyring import Keyring
from tests.api.whole_application import whole_application

DOOR = FrontDoor(whole_application(), (), Keyring(), open_to_all=True)
DIGITS = "9" * 5000


async def asked(method: str, path: str, **more: object) -> httpx.Response:
    transport = httpx.ASGITransport(DOOR, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/releases/{DIGITS}"),
        ("POST", f"/v1/releases/{DIGITS}:promote"),
        ("GET", f"/v1/dead-letters/searches/{DIGITS}"),
        ("GET", f"/console/data/searches/{DIGITS}"),
    ],
    ids=["release", "promote", "letter", "letter's page"],
)
async def test_a_number_of_any_length_names_nothing(method: str, path: str):
    said = await asked(method, path)
    assert (said.status_code, said.json()["error"]["code"]) == (404, "http_404")


@pytest.mark.parametrize("path", ["/console/act/pin", "/console/data", "/console/judge"])
async def test_a_form_of_too_many_fields_is_refused(path: str):
    said = await asked("POST", path, data={f"f{n}": "x" for n in range(51)})
    assert (said.status_code, said.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/search", "GET, POST"),
        ("/v1/rules/r", "DELETE, GET, PUT"),
        ("/v1/releases/7", "GET"),
        ("/docs", "GET"),
    ],
)
async def test_what_a_path_takes_is_told_with_the_refusal_of_another_method(path: str, allowed: str):
    said = await asked("PATCH", path)
    assert (said.status_code, said.headers["allow"]) == (405, allowed)
