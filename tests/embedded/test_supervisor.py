"""The supervisor, with small real processes in the place of searchloop's."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from embedded.errors import AlreadyRunningError, NotReadyError
from embedded.runtime import read_runtime
from embedded.supervisor import Supervisor
from schemas.settings import SettingsError
from tests.embedded.small_processes import commands, is_running
from tests.waiting import until

pytestmark = pytest.mark.broker

Stack = Callable[..., Supervisor]


@pytest.fixture
def stack(kafka: str, milvus: str, tmp_path: Path) -> Stack:
    """Build a supervisor on the session's servers.

    ``stack(stream="plain")`` keeps one small child called stream.
    """

    def build(env: Mapping[str, str] | None = None, **modes: str) -> Supervisor:
        servers = {"SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_MILVUS": milvus, **(env or {})}
        return Supervisor(
            data_dir=tmp_path / "data",
            env=servers,
            processes=tuple(modes),
            commands=commands(**modes),
            quiet=True,
        )

    return build


def events(folder: Path) -> list[str]:
    return [" ".join(line.split()[:2]) for line in (folder / "events.txt").read_text().splitlines()]


async def test_a_password_in_an_address_reaches_the_processes_and_no_file(stack: Stack, milvus: str) -> None:
    within = milvus.replace("//", "//root:planted-secret@")
    async with stack({"SEARCHLOOP_MILVUS": within}, stream="plain") as running:
        await running.ready(180)
        runtime = read_runtime(running.data_dir)
        assert runtime is not None
        assert runtime.milvus == milvus
        told = running._settings("stream")
        assert (told.milvus, told.token()) == (milvus, "root:planted-secret")
        files = [path for path in running.data_dir.rglob("*") if path.is_file()]
        assert not [path for path in files if b"planted-secret" in path.read_bytes()]


async def test_processes_are_started_in_order_told_where_the_servers_are_and_stopped_in_reverse(
    stack: Stack, kafka: str
) -> None:
    async with stack(stream="plain", searcher="plain", trainer="plain") as running:
        await running.ready(180)
        runtime = read_runtime(running.data_dir)
        assert runtime is not None
        assert (runtime.kafka, runtime.milvus, runtime.pid) == (running.kafka, running.milvus, os.getpid())
        assert runtime.processes == {name: running.pid(name) for name in ("stream", "searcher", "trainer")}
        for name, words in (("stream", f"nice 0, threads 1, kafka {kafka}"), ("trainer", "nice 10")):
            log = running.log_path(name)  # a thread writes what the process says
            await until(lambda log=log, words=words: words in log.read_text(), f"{name} says {words}")
    assert events(running.data_dir)[-3:] == ["stopped trainer", "stopped searcher", "stopped stream"]
    assert not any(is_running(pid) for pid in runtime.processes.values())
    assert not (running.data_dir / "runtime.json").exists()


async def test_what_processes_write_is_for_the_owner_of_the_data_directory_alone(stack: Stack) -> None:
    async with stack(stream="plain") as running:
        await running.ready(180)
        assert running.data_dir.stat().st_mode & 0o077 == 0
        assert (running.data_dir / "events.txt").stat().st_mode & 0o077 == 0


async def test_a_process_that_is_killed_is_started_again_and_ready_again(stack: Stack) -> None:
    async with stack(stream="plain") as running:
        await running.ready(180)
        first = running.pid("stream")
        running.kill("stream")
        await until(lambda: running.restarts("stream") == 1 and running.pid("stream"), "restarted")
        await running.ready(180)
        assert running.pid("stream") != first
        runtime = read_runtime(running.data_dir)
        assert runtime is not None
        assert runtime.processes == {"stream": running.pid("stream")}
        assert "ended (SIGKILL)" in running.log_path("stream").read_text()


async def test_a_process_that_keeps_crashing_is_started_again_with_growing_pauses(stack: Stack) -> None:
    async with stack(stream="crashing") as running:
        await until(lambda: running.restarts("stream") >= 2, "two restarts")
        said = running.log_path("stream").read_text()
    assert "ended (exit status 70)" in said
    assert "next start in 0.5 s" in said
    assert "next start in 1 s" in said


async def test_all_that_a_process_said_comes_before_what_is_said_of_its_end(stack: Stack) -> None:
    """Its last lines are the reason, and the message of an end shows the last lines."""
    async with stack(stream="talking") as running:
        log = running.log_path("stream")
        await until(lambda: "next start in 0.5 s" in log.read_text(), "it ended")
        said = log.read_text().splitlines()
    assert said.index("9999") < next(n for n, line in enumerate(said) if "[up] stream ended" in line)


async def test_a_process_that_refuses_its_settings_is_not_started_again_and_its_words_are_reported(
    stack: Stack,
) -> None:
    async with stack(stream="misused", searcher="plain") as running:
        with pytest.raises(NotReadyError, match=r"stream refused to start(?s:.*)no such setting"):
            await running.ready(180)
        assert running.restarts("stream") == 0
        assert list(running.refused()) == ["stream"]
        await until(lambda: events(running.data_dir).count("started searcher") == 1, "the other one runs")


async def test_what_a_killed_process_had_started_does_not_outlive_it(stack: Stack) -> None:
    async with stack(trainer="parent") as running:
        await running.ready(180)
        grandchild = int((running.data_dir / "grandchild.txt").read_text())
        assert is_running(grandchild)
        running.kill("trainer")
        await until(lambda: not is_running(grandchild), "the grandchild is gone")


async def test_a_process_that_does_not_stop_is_killed(stack: Stack) -> None:
    running = stack(stream="stubborn")
    async with running:
        await running.ready(180)
        pid = running.pid("stream")
        assert pid is not None
        running.hurry()  # instead of waiting for the deadline
    assert not is_running(pid)
    assert "is killed" in running.log_path("stream").read_text()


async def test_a_second_supervisor_on_the_directory_is_refused_and_the_first_goes_on(stack: Stack) -> None:
    async with stack(stream="plain") as running:
        with pytest.raises(AlreadyRunningError) as refusal:
            await stack(stream="plain").start()
        assert refusal.value.pid == os.getpid()
        await running.ready(180)
        assert running.pid("stream")


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"SEARCHLOOP_KAFKA": "127.0.0.1:1"}, "SEARCHLOOP_KAFKA names 127.0.0.1:1, and nothing answers"),
        (
            {"SEARCHLOOP_MILVUS": "http://127.0.0.1:1"},
            "SEARCHLOOP_MILVUS names http://127.0.0.1:1, and nothing answers",
        ),
        ({"SEARCHLOOP_MILVUS": "./own.db"}, "several processes need a server"),
    ],
)
async def test_an_existing_server_that_does_not_answer_is_named_and_nothing_is_left_running(
    stack: Stack, env: dict[str, str], reason: str
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(NotReadyError, match=reason):
        await stack(env, stream="plain").start()
    assert set(psutil.Process().children(recursive=True)) == before


async def test_an_unknown_setting_is_refused_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SEARCHLOOP_TYPO is not a setting"):
        await stack({"SEARCHLOOP_TYPO": "1"}, stream="plain").start()
    assert not (tmp_path / "data").exists()


async def test_a_folder_that_happens_to_be_called_like_a_package_is_not_run(
    kafka: str, milvus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    servers = {"SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_MILVUS": milvus}
    command = [sys.executable, "-c", "import schemas; print('schemas from', schemas.__file__)"]
    stack = Supervisor(
        data_dir=tmp_path / "data",
        env=servers,
        processes=("stream",),
        commands={"stream": command},
        quiet=True,
    )
    async with stack as running:
        await until(lambda: "ended" in running.log_path("stream").read_text(), "it ran")
        assert f"schemas from {Path.cwd().root}" in running.log_path("stream").read_text()
        assert str(tmp_path / "schemas") not in running.log_path("stream").read_text()
