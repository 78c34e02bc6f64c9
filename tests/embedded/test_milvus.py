"""The embedded Milvus Lite server, on a real one."""

import socket
from pathlib import Path

import pytest

from embedded.errors import NotReadyError, PortTakenError
from embedded.milvus import EmbeddedMilvus


def port_of(uri: str) -> int:
    return int(uri.rsplit(":", 1)[1])


def test_it_answers_until_it_is_stopped_and_comes_back_on_the_same_port(tmp_path: Path) -> None:
    server = EmbeddedMilvus(tmp_path)
    with server:
        assert server.answers()
        address = server.address
    assert not server.answers()
    # It was asked, not killed; asked early it has not yet put its own handler in place
    ended = server.log_path.read_text()
    assert "Shutting down" in ended or "KeyboardInterrupt" in ended
    with EmbeddedMilvus(tmp_path) as again:
        assert again.address == address


def test_a_foreign_server_on_the_port_is_refused(milvus: str, tmp_path: Path) -> None:
    """Milvus Lite itself would start beside it and get a part of its requests."""
    with pytest.raises(PortTakenError, match="Milvus needs it"):
        EmbeddedMilvus(tmp_path, port_of(milvus)).start()


def test_a_second_server_on_the_same_folder_does_not_come_up_and_says_why(tmp_path: Path) -> None:
    with EmbeddedMilvus(tmp_path), pytest.raises(NotReadyError, match=r"ended with status 1(?s:.*)lock"):
        EmbeddedMilvus(tmp_path).start()


def test_something_that_accepts_connections_but_is_no_milvus_does_not_answer(tmp_path: Path) -> None:
    server = EmbeddedMilvus(tmp_path)
    server.prepare()
    with socket.create_server(("127.0.0.1", port_of(server.address))):
        assert not server.answers()
