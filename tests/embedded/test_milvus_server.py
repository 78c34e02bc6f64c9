"""The Milvus server of the wheel, on the real one."""

import socket
from pathlib import Path

import pytest

from embedded.errors import PortTakenError, ServerMissingError
from embedded.milvus_server import MilvusServer
from embedded.milvus_wheel import filled, unpacked, wheel_folder


def port_of(uri: str) -> int:
    return int(uri.rsplit(":", 1)[1])


def test_a_field_of_the_template_takes_its_value_or_its_default_and_nothing_else_is_touched() -> None:
    template = "a: {{ one(int): 1 }} # {{two}}\nb: {{ three(str): x.pem }} {kept}"
    assert filled(template, {"two": "2"}) == "a: 1 # 2\nb: x.pem {kept}"
    with pytest.raises(KeyError, match="two"):
        filled(template, {"one": 5})


def test_where_the_wheel_is_not_installed_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.path", [])
    assert wheel_folder() is None
    with pytest.raises(ServerMissingError, match="pip install --no-deps milvus=="):
        unpacked()
    with pytest.raises(ServerMissingError):
        MilvusServer(tmp_path).start()


def test_two_servers_run_side_by_side_and_one_comes_back_on_its_ports_after_kill_9(
    milvus_server: str, tmp_path: Path
) -> None:
    server = MilvusServer(tmp_path)
    with server:
        assert server.answers()
        address = server.address
        assert address != milvus_server
        server.kill()
        assert not server.answers()
        server.start()
        assert (server.address, server.answers()) == (address, True)
    assert not server.answers()
    assert not (tmp_path / "configs" / "milvus.yaml").read_text().count("{{")


def test_a_port_that_is_taken_is_refused(milvus_wheel: None, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PortTakenError, match="Milvus needs it"),
    ):
        MilvusServer(tmp_path, taken.getsockname()[1]).start()
