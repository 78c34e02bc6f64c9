"""Every route needs a role, and the door knows whose it is."""

from collections.abc import Mapping

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from api.description import description
from api.front_door import FrontDoor
from api.roles import ROLES
from schemas.keys import Role
from tests.api.test_keyring import AT, KEY, Keyring, kept, ring
from tests.api.whole_application import whole_application

APP = whole_application()


async def asked(
    keys: Keyring, headers: Mapping[str, str], path: str = "/v1/search", *, open_to_all: bool = False
) -> httpx.Response:
    """Ask for what is refused with 400 by a route that one is let in to."""
    transport = httpx.ASGITransport(FrontDoor(APP, (), keys, open_to_all=open_to_all))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path, headers=headers)


def test_every_route_has_a_role_in_the_table_and_the_table_names_no_other():
    """Also one that FastAPI did not make: a mounted application would let everybody in."""
    routes = {
        (method, route.path_format or "")
        for route in iter_route_contexts(APP.routes)
        for method in (route.methods or {"every method"}) - {"HEAD"}
    }
    assert routes == set(ROLES)


def test_the_description_says_for_each_route_how_a_key_is_shown():
    described = description()
    schemes = set(described["components"]["securitySchemes"])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            role = ROLES[method.upper(), path]
            assert operation["x-role"] == role
            assert {name for way in operation["security"] for name in way} == (schemes if role else set())
            assert {"401", "403"} <= set(operation["responses"])


BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("keys", "headers", "code", "error"),
    [
        (ring(), {}, 401, "no_key"),
        (ring(), BEARER, 401, "wrong_key"),
        (ring(kept(KEY)), {}, 401, "no_key"),
        (ring(kept(KEY)), {"x-api-key": "sl_1"}, 401, "wrong_key"),
        (ring(kept(KEY)), {"x-api-key": KEY}, 404, "http_404"),
        (ring(kept(KEY, revoked_at=AT)), BEARER, 401, "wrong_key"),
        (ring(kept(KEY, roles=[Role.EVENTS, Role.OPERATE])), BEARER, 403, "forbidden"),
        (ring(kept(KEY, roles=[Role.READ, Role.SEARCH])), BEARER, 404, "http_404"),
    ],
)
async def test_a_caller_without_the_role_is_told_by_the_right_code(
    keys: Keyring, headers: Mapping[str, str], code: int, error: str
):
    path = "/v1/nothing" if code == 404 else "/v1/search"
    said = await asked(keys, headers, path)
    assert (said.status_code, said.json()["error"]["code"]) == (code, error)
    assert said.headers.get("www-authenticate") == ('Bearer realm="searchloop"' if code == 401 else None)
    assert KEY not in said.text


async def test_while_there_is_no_key_everybody_is_let_in_where_that_is_allowed_and_never_again():
    page = await asked(ring(), {}, "/docs", open_to_all=True)
    assert page.status_code == 200
    closed = ring(kept(KEY, revoked_at=AT))
    assert (await asked(closed, {}, open_to_all=True)).status_code == 401
    assert (await asked(closed, {}, "/docs", open_to_all=True)).status_code == 200


async def test_a_browser_asks_a_person_for_the_key():
    said = await asked(ring(kept(KEY)), {"accept": "text/html"})
    assert said.headers.get_list("www-authenticate") == [
        'Bearer realm="searchloop"',
        'Basic realm="searchloop"',
    ]


async def test_a_route_that_is_in_no_table_lets_nobody_in():
    app = whole_application()
    router = APIRouter()

    @router.get("/v1/forgotten")
    async def forgotten() -> dict[str, str]:
        return {}

    app.include_router(router)
    for keys, code in ((ring(kept(KEY)), 403), (ring(), 403)):
        door = FrontDoor(app, (), keys, open_to_all=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://here") as client:
            assert (await client.get("/v1/forgotten", headers=BEARER)).status_code == code
