"""Keys of a real API: who is let in, and for how long."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.keys import Role, id_of, new_key
from tests.api.api_process import ApiProcess, Said
from tests.api.test_keyring import AT, kept
from tests.api.test_records_over_http import click, ids_of

pytestmark = pytest.mark.broker


async def give(api: ApiProcess, key: str, **fields: object) -> None:
    """Write a key, or a change of it, and wait until the API knows."""
    record = kept(key, **fields)
    await api.send("api-keys", (record.key, record.value))


async def test_an_open_api_is_closed_by_its_first_key_and_stays_so_when_that_is_revoked(
    settings_env: Callable[..., dict[str, str]], tmp_path: Path
):
    """Also one that has its folder on another machine. Two processes for all: a start takes seconds."""
    searching, writing = new_key(), new_key()
    env = settings_env(partitions=2)
    elsewhere = env | {"SEARCHLOOP_DATA_DIR": str(tmp_path / "elsewhere")}
    async with ApiProcess(env) as api, ApiProcess(elsewhere) as other:
        api.start()
        other.start()

        async def code(method: str, path: str, body: object = None, **headers: str) -> int:
            return (await api.call(method, path, body, **headers)).code

        async def until_code(wanted: int, key: str) -> None:
            async def found() -> bool:
                said = [await one.call("GET", "/v1/search", x_api_key=key) for one in (api, other)]
                return {one.code for one in said} == {wanted}

            await api.until(found, f"both answer a search {wanted}")

        assert await code("GET", "/v1/search") == 400
        await give(api, searching)
        await until_code(401, writing)
        await give(api, writing, roles=[Role.EVENTS])
        await until_code(403, writing)
        assert await code("GET", "/v1/search", authorization=f"Bearer {searching}") == 400
        assert await code("POST", "/v1/events", [], x_api_key=searching) == 403
        assert await code("POST", "/v1/events", [], x_api_key=writing) == 400
        assert await code("POST", "/v1/events", []) == 401
        assert await code("GET", "/docs") == 200

        await give(api, searching, revoked_at=AT)
        await until_code(401, searching)
        api.kill()
        api.start()
        await until_code(401, searching)
        await api.send("api-keys", (str(id_of(searching)).encode(), None))
        await api.send("api-keys", (str(id_of(writing)).encode(), None))
        await until_code(400, searching)

        pages = [api.log(), *[await api.page(name) for name in ("readyz", "metrics", "healthz")]]
        kept_files = [p.read_text(errors="replace") for p in api.settings.data_dir.rglob("*") if p.is_file()]
        for secret in (searching, writing):
            assert not [text for text in [*pages, *kept_files] if secret.rpartition("_")[2] in text]


async def test_a_page_writes_events_by_a_key_in_the_address_within_its_limits(
    settings_env: Callable[..., dict[str, str]],
):
    shop = "https://shop.example"
    key, body_key, batch_key = new_key(), new_key(), new_key()
    async with ApiProcess(settings_env(partitions=2)) as api:
        await give(api, key, roles=[Role.EVENTS], origins=[shop], records_per_s=1 / 1000)
        await give(api, batch_key, roles=[Role.EVENTS], records_per_s=1 / 1000)
        await give(api, body_key, roles=[Role.EVENTS, Role.SEARCH], origins=[shop], body_bytes=1000)
        api.start()

        async def beacon(body: object, shown: str, **headers: str) -> Said:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            page = {"content_type": "text/plain;charset=UTF-8", "origin": shop} | headers
            return await api.call("POST", f"/v1/events?key={shown}", data, **page)

        elsewhere = await beacon([click("no")], key, origin="https://evil.example")
        assert elsewhere.code == 403
        said = await beacon([click("one"), click("two"), click("three")], key)
        assert (said.code, said.json["accepted"]) == (202, 3), said.body
        assert said.headers["Access-Control-Allow-Origin"] == shop
        late = await beacon([click("four")], key)
        assert (late.code, late.json["error"]["code"]) == (429, "rate_limited")
        assert 2900 <= int(late.headers["Retry-After"]) <= 3000, "three were written"

        own = {"authorization": f"Bearer {body_key}", "origin": shop}
        assert (await api.call("POST", "/v1/events", b"[" + b" " * 1000, **own)).code == 413
        assert (await api.call("POST", "/v1/search", b"[" + b" " * 1000, **own)).code == 413
        assert (await api.call("POST", "/v1/events", [click("five")], **own)).code == 202
        text = {"content_type": "text/plain"} | own
        assert (await api.call("POST", "/v1/search", b"{}", **text)).code == 415
        del text["origin"]
        assert (await api.call("POST", "/v1/events", b"[]", **text)).code == 415

        written = await api.records("interactions")
        assert ids_of(written) == {"one", "two", "three", "five"}

        track = {"event": "Product Clicked", "anonymousId": "a", "properties": {"product_id": "p1"}}
        calls = [
            track | {"type": "track", "messageId": f"m{n}", "timestamp": click("")["timestamp"]}
            for n in range(3)
        ]
        batched = {"authorization": f"Bearer {batch_key}"}
        said = await api.call("POST", "/v1/events?format=segment", {"batch": calls}, **batched)
        assert (said.code, said.json["accepted"]) == (202, 1), "one record, and three events in it"
        late = await api.call("POST", "/v1/events", [click("six")], **batched)
        assert late.code == 429
        assert 2900 <= int(late.headers["Retry-After"]) <= 3000, "each of them counts"
        assert key not in api.log() + await api.page("metrics")


async def test_beyond_loopback_it_starts_only_with_a_key_or_when_it_is_told_to(
    settings_env: Callable[..., dict[str, str]],
):
    env = settings_env(partitions=2, api_host="0.0.0.0")
    async with ApiProcess(env) as api:
        api.start()
        assert await asyncio.to_thread(api.wait) == 2
        assert "there is no key: make one with `searchloop keys create`" in api.log()
        key = new_key()
        await give(api, key)
        api.start()
        assert (await api.call("GET", "/v1/search")).code == 401
        assert (await api.call("GET", "/v1/search", x_api_key=key)).code == 400
        await asyncio.to_thread(api.stop)
        await api.send("api-keys", (str(id_of(key)).encode(), None))
    async with ApiProcess(env | {"SEARCHLOOP_API_OPEN": "true"}) as api:
        api.start()
        assert (await api.call("GET", "/v1/search")).code == 400
