"""What a damaged file of vectors costs: time, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from trainer.evaluation.known_vectors import _rows


def written(path: Path) -> bytes:
    np.savez(path, hashes=np.array(["qa", "db"]), vectors=np.eye(2, dtype=np.float32), model=np.array("m"))
    return path.read_bytes()


def test_what_was_written_is_known_to_its_own_model_alone(tmp_path: Path):
    path = tmp_path / "vectors.npz"
    written(path)
    assert _rows(path, 2, "m").keys() == {"qa", "db"}
    assert _rows(path, 2, "other") == {} == _rows(path, 3, "m")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_is_one_that_knows_nothing(tmp_path: Path, share: float):
    path = tmp_path / "vectors.npz"
    content = written(path)
    path.write_bytes(content[: int(share * len(content))])
    assert _rows(path, 2, "m") == {}


def test_a_file_whose_bytes_turned_is_one_that_knows_nothing_or_what_was_written(tmp_path: Path):
    path = tmp_path / "vectors.npz"
    content = written(path)
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        assert set(_rows(path, 2, "m")) <= {"qa", "db"}
