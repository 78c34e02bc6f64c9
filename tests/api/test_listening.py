"""The socket of the API."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.types import Receive, Scope, Send

from api.listening import listen, web_server
from schemas.settings import ApiSettings
from tests.waiting import DEADLINE_S

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"


def test_no_body_of_an_answer_waits_for_an_acknowledgement():
    """It did, 40 ms for each search."""
    with listen(ApiSettings(api_port=0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def slowly(_: Scope, __: Receive, send: Send) -> None:
    """An application that takes longer than a connection may wait for a request."""
    await asyncio.sleep(2.5)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server that waits one second for a request."""
    with listen(ApiSettings(api_port=0)) as listening:
        server = web_server(slowly, None, idle_s=1)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


@pytest.mark.parametrize("dripped", [b"", HEAD], ids=["nothing", "a head without end"])
async def test_a_connection_on_which_no_request_comes_ends(dripped: bytes):
    """It stayed for ever: a thousand of them, and nobody else could connect."""
    async with connected() as (reader, writer):
        async with asyncio.timeout(DEADLINE_S):
            writer.write(dripped)
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x" if dripped else b"")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            assert await reader.read(100) == b""


async def test_a_request_may_take_as_long_as_it_takes_and_another_may_follow():
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            async with asyncio.timeout(DEADLINE_S):
                said = await reader.readuntil(b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 204")
