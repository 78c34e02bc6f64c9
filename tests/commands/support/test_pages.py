"""What a command makes of the page of a process, whoever answers on its port by now."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands.support.pages import read_late, read_page
from schemas.settings import Settings

NOBODY = {"process": "stream", "ready": False, "reason": "does not answer"}


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@contextmanager
def answering(folder: Path, said: bytes) -> Iterator[Settings]:
    """Settings of a data directory whose stream answers each connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        (folder / "run").mkdir()
        (folder / "run" / "stream.json").write_text(json.dumps({"port": server.getsockname()[1]}))
        yield Settings(data_dir=folder)
        thread.join(60)


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
def test_a_page_is_what_the_process_says_also_when_it_says_no(tmp_path: Path, status: str):
    with answering(tmp_path, http(status, '{"ready": false, "reason": "starts"}')) as settings:
        assert read_page(settings, "stream", "readyz") == {"ready": False, "reason": "starts"}
        read_late(settings)


@pytest.mark.parametrize(
    "said",
    [
        http("404 Not Found", "<p>another's</p>"),
        http("200 OK", "[1]"),
        http("500 No", "7"),
        b"\x00\x00\x04\x08",
    ],
    ids=["html", "list", "number", "binary"],
)
def test_who_else_answers_on_an_announced_port_is_no_answer(tmp_path: Path, said: bytes):
    with answering(tmp_path, said) as settings:
        assert read_page(settings, "stream", "readyz") == NOBODY
        assert not read_late(settings)


@pytest.mark.parametrize("announced", [None, "", "[]", "{}", '{"port": "a b"}', '{"port": 0}'])
def test_a_process_that_announced_no_port_does_not_answer(tmp_path: Path, announced: str | None):
    (tmp_path / "run").mkdir()
    if announced is not None:
        (tmp_path / "run" / "stream.json").write_text(announced)
    settings = Settings(data_dir=tmp_path)
    assert (read_page(settings, "stream", "readyz"), read_late(settings)) == (NOBODY, None)
