import asyncio
import socket
from collections.abc import Sequence

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from media.addresses import FetchRules
from media.picture_fetching import PictureFetcher
from schemas.rejections import Rejection
from tests.media.serving import Handler, Shop, shop


async def picture(_: web.Request) -> web.Response:
    return web.Response(body=b"picture")


def to(address: str, status: int = 302) -> Handler:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": address})

    return redirect


async def fetched(address: str, rules: FetchRules, **more: object) -> bytes | str:
    """Return what was fetched, or the reason and the words of the refusal."""
    async with PictureFetcher(rules, **more) as fetcher:
        found = await fetcher.fetch(address)
    return found if isinstance(found, bytes) else said(found)


def said(found: Rejection) -> str:
    return f"{found.reason}: {found.problems[0].message}"


class Names(AbstractResolver):
    """A name server that gives these answers, one after the other, and the last one for ever."""

    def __init__(self, *machines: str) -> None:
        self.machines, self.asked = list(machines), []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.append(host)
        machine = self.machines.pop(0) if len(self.machines) > 1 else self.machines[0]
        return [
            ResolveResult(hostname=host, host=machine, port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        return


class Machines(AbstractResolver):
    """A name server that says all of these of any name."""

    def __init__(self, machines: Sequence[str]) -> None:
        self.machines = machines

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=machine, port=port,
                family=socket.AF_INET6 if ":" in machine else socket.AF_INET, proto=0, flags=0,
            )
            for machine in self.machines
        ]  # fmt: skip

    async def close(self) -> None:
        return


async def test_a_picture_is_fetched_and_nothing_is_told_about_us() -> None:
    async def with_cookie(_: web.Request) -> web.Response:
        return web.Response(body=b"picture", headers={"Set-Cookie": "a=b"})

    async with shop(with_cookie) as server, PictureFetcher(server.rules()) as fetcher:
        assert [await fetcher.fetch(f"http://{server.at}/a%20b.jpg?c#d") for _ in range(2)] == [
            b"picture"
        ] * 2
    asked = server.seen[1]
    assert (asked.method, asked.raw_path) == ("GET", "/a%20b.jpg?c")
    assert set(asked.headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}
    assert asked.headers["Accept-Encoding"] == "identity"


async def test_no_proxy_and_no_account_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    async with shop(picture) as proxy, shop(picture) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.at}")
        monkeypatch.setenv("NETRC", str(netrc))
        assert await fetched(f"http://{server.at}/", server.rules()) == b"picture"
    assert not proxy.seen
    assert "Authorization" not in server.seen[0].headers


async def test_what_is_not_on_the_list_sees_no_request() -> None:
    async with shop(picture) as server:
        names = Names("127.0.0.1")
        rules = server.rules(hosts=("cdn.shop.example",))
        for host in (server.at, f"localhost:{server.port}", f"2130706433:{server.port}",
                     f"[::ffff:7f00:1]:{server.port}",
                     f"cdn.shop.example:{server.port}", f"cdn.shop.example@{server.at}"):  # fmt: skip
            assert str(await fetched(f"http://{host}/", rules, resolver=names)).startswith("image_fetch: ")
    assert (server.seen, names.asked) == ([], [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_to_an_allowed_host(status: int) -> None:
    async with shop(picture) as cdn, shop(to(f"http://{cdn.at}/b", status)) as server:
        rules = server.rules(hosts=(server.at, cdn.at))
        assert await fetched(f"http://{server.at}/", rules) == b"picture"


async def test_a_redirect_to_any_other_place_is_not_followed() -> None:
    async with shop(picture) as other:
        for place in (
            f"http://{other.at}/",
            "file:///etc/passwd",
            f"//{other.at}/",
            f"ftp://{other.at}/",
            "http://[",
            "http://\\",
            "",
        ):
            async with shop(to(place)) as server:
                found = str(await fetched(f"http://{server.at}/", server.rules()))
                assert found.startswith("image_fetch: "), place
    assert not other.seen


async def test_redirects_end() -> None:
    async with shop(to("/again")) as server:
        assert await fetched(f"http://{server.at}/", server.rules()) == "image_fetch: more than 3 redirects"
    assert len(server.seen) == 4


async def test_a_name_of_a_private_machine_is_not_contacted() -> None:
    async with shop(picture) as server:
        host = f"cdn.shop.example:{server.port}"
        rules = server.rules(hosts=(host, server.at), networks=())
        refused = "image_fetch: a private machine that no setting allows"
        assert await fetched(f"http://{host}/", rules, resolver=Names("127.0.0.1")) == refused
        assert await fetched(f"http://{server.at}/", rules) == refused
    assert not server.seen


@pytest.mark.parametrize(
    "machines",
    [
        ["0.0.0.0"], ["::1"], ["::ffff:127.0.0.1"], ["::ffff:0.0.0.0"], ["::"], ["::1", "127.0.0.1"],
        ["2001:db8::1", "127.0.0.1"],
    ],
)  # fmt: skip
async def test_whatever_numbers_a_name_has_a_private_machine_sees_no_request(machines: list[str]) -> None:
    """To Linux most of them are this machine."""
    async with shop(picture, "0.0.0.0") as server, shop(picture, "::1", server.port) as newer:
        host = f"cdn.shop.example:{server.port}"
        found = await fetched(
            f"http://{host}/", server.rules(hosts=(host,), networks=()), resolver=Machines(machines)
        )
        assert found == "image_fetch: a private machine that no setting allows"
    assert (server.seen, newer.seen) == ([], [])


async def test_a_name_that_changes_its_machine_after_the_check_gains_nothing() -> None:
    """The machine is judged when its socket is made: what the name says later is judged again."""
    async with (
        shop(picture) as server,
        shop(picture, "127.0.0.2", server.port) as inside,
        shop(to(f"http://cdn.shop.example:{server.port}/"), "127.0.0.1") as first,
    ):
        hosts = (f"cdn.shop.example:{server.port}", f"www.shop.example:{first.port}")
        rules = server.rules(hosts=hosts, networks=("127.0.0.1/32",))
        names = Names("127.0.0.1", "127.0.0.2")
        found = await fetched(f"http://www.shop.example:{first.port}/", rules, resolver=names)
        assert found == "image_fetch: a private machine that no setting allows"
    assert (len(first.seen), len(server.seen), len(inside.seen)) == (1, 0, 0)


@pytest.mark.parametrize("told", [True, False])
async def test_more_bytes_than_allowed_are_not_read(told: bool) -> None:
    async def large(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100000000"} if told else {})
        await answer.prepare(request)
        while True:
            await answer.write(bytes(100))

    async with shop(large) as server:
        assert (
            await fetched(f"http://{server.at}/", server.rules()) == "image_too_large: more than 1000 bytes"
        )


async def test_a_server_that_never_ends_is_left() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b".")
            await asyncio.sleep(0.05)

    async with shop(slow) as server:
        assert (
            await fetched(f"http://{server.at}/", server.rules(seconds=0.3))
            == "image_fetch: not there within 0.3 s"
        )


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async def packed(_: web.Request) -> web.Response:
        return web.Response(body=b"...", headers={"Content-Encoding": "gzip"})

    async with shop(packed) as server:
        found = await fetched(f"http://{server.at}/", server.rules())
    assert found == "image_fetch: compressed, which was not asked for"


async def test_what_is_not_there_is_asked_for_once() -> None:
    async def missing(_: web.Request) -> web.Response:
        return web.Response(status=404)

    async with shop(missing) as server:
        assert await fetched(f"http://{server.at}/", server.rules()) == "image_fetch: status 404"
    assert len(server.seen) == 1


async def test_a_busy_server_is_asked_again() -> None:
    async with shop(lambda request: picture(request) if len(server.seen) > 2 else busy(request)) as server:
        assert await fetched(f"http://{server.at}/", server.rules()) == b"picture"
    async with shop(busy) as server:
        assert await fetched(f"http://{server.at}/", server.rules()) == "image_fetch: status 503, 3 times"


async def busy(_: web.Request) -> web.Response:
    return web.Response(status=503)


OK, MOVED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: "
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\0\0\0\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
        b"HTTP/1.1 101 Other\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 206 Part\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Length: 50\r\n\r\nhalf", OK + b"Content-Length: 3\r\n\r\nabcdefgh",
        OK + b"Content-Length: -5\r\n\r\nabc", OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabc",
        OK + b"X-A: b\r\n" * 100_000 + b"\r\n", OK + b"X-A: " + b"b" * 1_000_000 + b"\r\n\r\n",
        CHUNKED + b"zz\r\nabc", CHUNKED + b"f" * 18 + b"\r\nabc",
        MOVED + b"http://a b/\r\n\r\n", MOVED + b"http://\xff\xfe/\r\n\r\n",
        MOVED + b"http://127.0.0.1:99999/\r\n\r\n", MOVED + b"data:image/png;base64,AAAA\r\n\r\n",
    ],
)  # fmt: skip
async def test_a_server_that_speaks_nonsense_is_a_failed_picture(answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        found = str(await fetched(f"http://127.0.0.1:{port}/", Shop(port).rules()))
    assert found.startswith("image_fetch: ")


async def test_nobody_listening_is_a_failed_picture() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert (
            await fetched(f"http://127.0.0.1:{port}/", Shop(port).rules())
            == "image_fetch: no connection, 3 times"
        )
    rules = FetchRules(hosts=("*.invalid",), most_bytes=9, pause_s=0)
    assert str(await fetched("https://nowhere.invalid/", rules)).startswith("image_fetch: no connection")
