"""What a folder keeps for the next start, damaged.

A sentence that says which file and what to do, and no traceback.
"""

import json
import stat
from pathlib import Path

import pytest

from embedded.errors import DamagedError
from embedded.kafka import EmbeddedKafka
from embedded.kept import read_kept, write_kept
from embedded.milvus import EmbeddedMilvus
from embedded.runtime import Runtime, claim, made_private, read_runtime
from tests.processes import run_cli
from tests.small_disk import fill, small_disk

DAMAGE = [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe\x00", b"[" * 5000, b'{"port": "many", "kafka": 1}']


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_node_port_or_runtime_file_is_named_with_what_to_do(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "node.json").write_bytes(damage)
    (tmp_path / "port.json").write_bytes(damage)
    with pytest.raises(DamagedError, match=r"node\.json is damaged .*: remove it"):
        EmbeddedKafka(tmp_path).prepare()
    with pytest.raises(DamagedError, match=r"port\.json is damaged .*: remove it"):
        EmbeddedMilvus(tmp_path).prepare()
    with claim(tmp_path):
        (tmp_path / "runtime.json").write_bytes(damage)
        with pytest.raises(DamagedError, match=r"runtime\.json is damaged .*SEARCHLOOP_KAFKA"):
            read_runtime(tmp_path)


def test_the_command_line_says_it_in_a_sentence(tmp_path: Path) -> None:
    with claim(tmp_path):
        (tmp_path / "runtime.json").write_text("{")
        done = run_cli("status", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert "runtime.json is damaged" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.broker
def test_a_broker_without_its_node_file_is_still_the_cluster_that_its_storage_names(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path)
    with broker:
        identity = broker.cluster_id
    (tmp_path / "node.json").unlink()
    with EmbeddedKafka(tmp_path) as again:
        assert again.cluster_id == identity


def test_what_is_written_is_read_again_and_nothing_was_there_before(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "port.json", int, remedy="") is None
    write_kept(tmp_path / "port.json", 20_001)
    assert read_kept(tmp_path / "port.json", int, remedy="") == 20_001


def test_a_full_disk_leaves_the_old_file_whole_and_no_half_one_beside_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        path = disk / "runtime.json"
        write_kept(path, {"kafka": "a"})
        fill(disk)
        with pytest.raises(OSError, match="No space"):
            write_kept(path, {"kafka": "b" * 100_000})
        assert json.loads(path.read_text()) == {"kafka": "a"}
        assert sorted(p.name for p in disk.iterdir()) == ["ballast", "runtime.json"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_data_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    with claim(tmp_path / "new"):
        Runtime(kafka="k", milvus="m", pid=1, started_at=0.0).write(tmp_path / "new")
        assert made_private(tmp_path / "new") is None
    assert mode(tmp_path / "new") == 0o700


def test_one_that_others_could_read_is_closed_and_that_is_said(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    old.chmod(0o755)
    assert "is closed now" in (made_private(old) or "")
    assert mode(old) == 0o700
    assert made_private(old) is None


def test_a_directory_that_everybody_uses_is_left_open_and_that_is_said(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert "others of this machine may read" in (made_private(shared) or "")
    assert mode(shared) == 0o1777
