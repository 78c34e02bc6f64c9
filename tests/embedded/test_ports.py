"""Ports."""

import os
import socket

import pytest

from embedded.errors import PortTakenError
from embedded.ports import free_port, is_free, require_free


def listener() -> socket.socket:
    server = socket.create_server(("127.0.0.1", free_port()))
    server.listen()
    return server


def test_a_port_on_which_somebody_listens_is_refused_and_its_holder_named() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as refusal:
            require_free(port, "Milvus")
    assert str(refusal.value).startswith(f"port {port} of 127.0.0.1 is taken by process {os.getpid()} ")
    assert "Milvus needs it" in str(refusal.value)


def test_a_port_shared_with_so_reuseport_is_not_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("0.0.0.0", free_port()))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_the_preferred_port_is_taken_when_it_is_free_and_another_one_otherwise() -> None:
    with listener() as server:
        taken = server.getsockname()[1]
        assert free_port(preferred=taken) != taken
    assert free_port(preferred=taken) == taken


def test_a_port_that_was_chosen_a_moment_ago_is_not_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server's twelve ports two were the same once in two hundred starts."""
    drawn = iter([5, 5, 5, 7])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))
    monkeypatch.setattr("embedded.ports.is_free", lambda _: True)
    first = free_port()
    assert free_port(preferred=first, besides=[first]) == first + 2


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    """A client retrying a port of the outgoing range can connect to itself.

    Then nobody can listen there.
    """
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
