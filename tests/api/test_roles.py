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
    keys: Keyring,
    headers: Mapping[str, str],
    path: str = "/v1/search",
    *,
    open_to_all: bool = False,
    method: str = "GET",
) -> httpx.Response:
    """Ask the door, and what is behind it."""
    transport = httpx.ASGITransport(FrontDoor(APP, (), keys, open_to_all=open_to_all))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path, headers=headers)


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


SHOP = "https://shop.example"
OTHER = "https://evil.example"
PAGES = ring(kept(KEY, roles=[Role.EVENTS], origins=[SHOP]))
CORS = ("access-control-allow-origin", "access-control-expose-headers", "vary")


@pytest.mark.parametrize(
    ("origin", "code", "error"),
    [(SHOP, 404, "http_404"), (OTHER, 403, "forbidden"), ("null", 403, "forbidden"), (None, 404, "http_404")],
)
async def test_a_public_key_is_for_pages_of_its_origins(origin: str | None, code: int, error: str):
    said = await asked(PAGES, BEARER | ({"origin": origin} if origin else {}), "/v1/nothing")
    assert (said.status_code, said.json()["error"]["code"]) == (code, error)
    assert said.headers.get("access-control-allow-origin") == (SHOP if origin == SHOP else None)
    assert "access-control-allow-credentials" not in said.headers


async def test_a_key_for_no_page_is_none_for_a_page():
    said = await asked(ring(kept(KEY)), BEARER | {"origin": SHOP})
    assert (said.status_code, said.json()["error"]["code"]) == (403, "forbidden")
    assert not set(CORS) & set(said.headers)
    hidden = await asked(ring(kept(KEY)), BEARER | {"sec-fetch-site": "cross-site"})
    assert hidden.status_code == 403


async def test_a_browser_may_ask_first_for_pages_of_the_origins_of_keys_and_for_no_others():
    for origin, code in ((SHOP, 204), (OTHER, 401)):
        wish = {"origin": origin, "access-control-request-method": "POST"}
        said = await asked(PAGES, wish, "/v1/search", method="OPTIONS")
        assert (said.status_code, said.headers.get("access-control-allow-origin")) == (
            code,
            SHOP if code == 204 else None,
        )
    assert (
        "X-API-Key"
        in (
            await asked(
                PAGES,
                {"origin": SHOP, "access-control-request-method": "GET"},
                "/v1/search",
                method="OPTIONS",
            )
        ).headers["access-control-allow-headers"]
    )
    open_door = await asked(
        ring(), {"origin": SHOP, "access-control-request-method": "POST"}, method="OPTIONS", open_to_all=True
    )
    assert open_door.status_code == 403


async def test_a_page_can_read_why_it_is_not_let_in():
    said = await asked(PAGES, {"origin": SHOP})
    assert (said.status_code, said.headers["access-control-allow-origin"]) == (401, SHOP)
    assert "Retry-After" in said.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("keys", "code", "error"),
    [
        (PAGES, 404, "http_404"),
        (ring(kept(KEY, roles=[Role.EVENTS])), 403, "forbidden"),
        (ring(kept(KEY, roles=[Role.EVENTS, Role.SEARCH], origins=[SHOP])), 403, "forbidden"),
        (ring(kept(KEY, roles=[Role.OPERATE])), 403, "forbidden"),
        (ring(kept(KEY, roles=[Role.EVENTS], origins=[SHOP], revoked_at=AT)), 401, "wrong_key"),
    ],
)
async def test_in_an_address_only_a_public_key_is_believed_that_writes_events_and_nothing_else(
    keys: Keyring, code: int, error: str
):
    said = await asked(keys, {"origin": SHOP}, f"/v1/nothing?key={KEY}", method="POST")
    assert (said.status_code, said.json()["error"]["code"]) == (code, error)
    assert KEY not in said.text


async def test_what_a_key_has_had_is_answered_429_with_the_time_to_wait():
    keys = ring(kept(KEY, records_per_s=1 / 1000))
    assert (await asked(keys, BEARER, "/docs")).status_code == 200
    said = await asked(keys, BEARER, "/docs")
    assert (said.status_code, said.json()["error"]["code"]) == (429, "rate_limited")
    assert 990 <= int(said.headers["retry-after"]) <= 1000
