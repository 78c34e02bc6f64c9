"""Who has no key and tries: fuzzed headers, keys of a megabyte, thousands of wrong ones, a revoked one."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from random import Random

import psutil
import pytest

from schemas.keys import Role, new_key
from schemas.topics import WITH_DEAD_LETTERS
from tests.api.api_process import ApiProcess
from tests.api.test_keyring import AT
from tests.api.test_keys_over_http import give
from tests.api.test_records_over_http import click

pytestmark = pytest.mark.broker

CLIENTS, EACH = 8, 250
MIB = 1 << 20


async def code_of(port: int, request: bytes) -> int:
    """Send bytes as they are; return the status code, or 0 where the connection is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except ConnectionError:  # it has closed before all was sent
        return 0
    finally:
        writer.close()


def hostile(rng: Random, key: str) -> bytes:
    """Return a request with a header that shows something like a key, and is none."""
    secret = key.encode()
    shown = rng.choice(
        [
            rng.randbytes(rng.randrange(200)).translate(None, b"\r\n"),
            secret[: rng.randrange(len(secret))],
            secret.swapcase(),
            secret + rng.randbytes(1).hex().encode(),
            b64encode(rng.randbytes(60)),
            b" ".join([secret] * 2),
            "é\u0660".encode() * 20,
        ]
    )
    name = rng.choice(
        [b"Authorization: Bearer ", b"Authorization: Basic ", b"X-API-Key: ", b"Authorization: ", b"Cookie: "]
    )
    path = rng.choice(
        [b"/v1/search?q=a", b"/v1/events", b"/v1/releases", b"/v1/search?q=a&key=" + secret[:-1]]
    )
    return b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b%b\r\n\r\n" % (path, name, shown)


async def test_no_attack_gets_in_costs_memory_or_leaves_a_key_anywhere(
    settings_env: Callable[..., dict[str, str]],
):
    key, revoked, page_key = new_key(), new_key(), new_key()
    async with ApiProcess(settings_env(partitions=2)) as api:
        await give(api, key, roles=list(Role))
        await give(api, revoked, roles=list(Role), revoked_at=AT)
        await give(api, page_key, roles=[Role.EVENTS], origins=["https://shop.example"])
        api.start()
        port = int((await api.address()).rpartition(":")[2])
        rng = Random(7)

        fuzzed = Counter([await code_of(port, hostile(rng, key)) for _ in range(500)])
        assert set(fuzzed) <= {400, 401, 405}, fuzzed
        assert fuzzed[401] > 200

        for headers in (b"X-API-Key: " + b"0" * MIB, b"Authorization: Bearer " + key.encode() * 10_000):
            request = b"GET /v1/search?q=a HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % headers
            assert await code_of(port, request) in {0, 400, 431}
        long_address = b"POST /v1/events?key=%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"0" * MIB)
        assert await code_of(port, long_address) in {0, 400, 431}

        process = psutil.Process(api.pid)
        await api.call("GET", "/v1/search", x_api_key=new_key())
        before = process.memory_info().rss

        async def guess(number: int) -> set[int]:
            codes = set()
            for _ in range(EACH):
                shown = {"x_api_key": new_key()} if number % 2 else {"authorization": f"Bearer {revoked}"}
                codes.add((await api.call("POST", "/v1/events", [click("x")], **shown)).code)
            return codes

        assert set().union(*await asyncio.gather(*map(guess, range(CLIENTS)))) == {401}
        assert process.memory_info().rss - before < 16 * MIB
        assert (await api.call("POST", "/v1/events", [click("good")], x_api_key=key)).code == 202

        # Where somebody shows a good key in the wrong place
        for method, path in (
            ("GET", f"/v1/search?q=a&key={key}"),
            ("POST", f"/v1/events?key={key}"),
            ("GET", f"/v1/{key}"),
            ("DELETE", f"/v1/products/p?key={page_key}"),
        ):
            assert (await api.call(method, path, x_forwarded_for=key)).code in {401, 403, 404}, path
        bad = await api.call(
            "POST", f"/v1/events?key={page_key}&format=csv", [{}], origin="https://shop.example"
        )
        assert (bad.code, page_key in bad.body.decode()) == (400, False)

        written = [api.log(), *[await api.page(name) for name in ("readyz", "metrics", "healthz")]]
        written += [p.read_text(errors="replace") for p in api.settings.data_dir.rglob("*") if p.is_file()]
        for topic in WITH_DEAD_LETTERS:
            written += [str(record) for record in await api.records(topic.name)]
        for planted in (key, revoked, page_key):
            assert not [text for text in written if planted.rpartition("_")[2] in text]
        assert "Traceback" not in api.log()
        metrics = await api.page("metrics")
        assert (
            len([line for line in metrics.splitlines() if line.startswith("searchloop_api_responses")]) < 30
        )
