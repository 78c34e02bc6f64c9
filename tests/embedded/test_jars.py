"""Kafka's jars."""

import shutil
import socket
from pathlib import Path

import pytest

from embedded.errors import JarsMissingError
from embedded.jar_digests import DIGESTS
from embedded.jars import cache_folder, kafka_jars
from embedded.ports import free_port


def refuse(*_: object) -> None:
    raise OSError("no network here")


def test_once_fetched_they_are_found_without_network_java_or_maven(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    names = {jar.name for jar in kafka_jars()}
    assert {"kafka_2.13-4.1.1.jar", "kafka-clients-4.1.1.jar", "log4j-slf4j-impl-2.24.3.jar"} <= names


def test_when_they_cannot_be_fetched_the_reason_and_the_ways_out_are_said_and_no_half_cache_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{free_port()}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(
        JarsMissingError, match=r"could not fetch Apache Kafka (?s:.*)SEARCHLOOP_KAFKA=host:port"
    ):
        kafka_jars()
    assert not cache_folder().exists()
    assert [p.name for p in cache_folder().parent.iterdir()] == ["lock"]


def test_a_folder_given_instead_must_hold_a_broker(tmp_path: Path) -> None:
    with pytest.raises(JarsMissingError, match="SEARCHLOOP_KAFKA_JARS must name the libs folder"):
        kafka_jars(tmp_path)
    (tmp_path / "kafka_2.13-4.1.1.jar").touch()
    assert kafka_jars(tmp_path) == [tmp_path / "kafka_2.13-4.1.1.jar"]


def test_a_jar_that_is_not_byte_for_byte_ours_is_refused_by_name_in_the_cache_too(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = cache_folder()
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(genuine, cache_folder())
    assert len(kafka_jars()) == len(DIGESTS)
    with (cache_folder() / "kafka-clients-4.1.1.jar").open("ab") as jar:
        jar.write(b"\0")
    with pytest.raises(JarsMissingError, match=r"kafka-clients-4\.1\.1\.jar has the SHA-256 .* expected is"):
        kafka_jars()
    shutil.copy(genuine / "kafka-clients-4.1.1.jar", cache_folder())
    (cache_folder() / "stranger-1.0.jar").touch()
    with pytest.raises(JarsMissingError, match=r"stranger-1\.0\.jar is no jar of"):
        kafka_jars()
    (cache_folder() / "stranger-1.0.jar").unlink()
    (cache_folder() / "log4j-slf4j-impl-2.24.3.jar").unlink()
    with pytest.raises(JarsMissingError, match="lacks log4j-slf4j-impl"):
        kafka_jars()
