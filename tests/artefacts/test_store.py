import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from artefacts.store import ArtefactStore

KEY = "pictures/1/ab/abcdef"


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(f"file://{tmp_path}/kept" if request.param == "file" else f"memory://{uuid4()}")


def test_what_was_put_is_there(store: ArtefactStore) -> None:
    store.put(KEY, b"picture")
    assert (store.get(KEY), store.has(KEY)) == (b"picture", True)


def test_what_was_not_put_is_not_there(store: ArtefactStore) -> None:
    assert (store.get(KEY), store.has("a")) == (None, False)


def test_an_object_may_be_put_twice_and_be_empty(store: ArtefactStore) -> None:
    store.put(KEY, b"")
    store.put(KEY, b"")
    assert store.get(KEY) == b""


def test_a_plain_folder_is_an_address(tmp_path: Path) -> None:
    ArtefactStore(str(tmp_path / "kept")).put(KEY, b"picture")
    assert ArtefactStore(f"file://{tmp_path}/kept").get(KEY) == b"picture"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["abcdef"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:5] + b"?" + b[6:], lambda b: b + b"x"]
)
def test_a_damaged_object_is_a_miss_and_can_be_put_again(tmp_path: Path, damage: object) -> None:
    store = ArtefactStore(str(tmp_path))
    store.put(KEY, b"a picture of a thing")
    path = tmp_path / KEY
    path.write_bytes(damage(path.read_bytes()))
    assert (store.get(KEY), store.has(KEY)) == (None, False)
    store.put(KEY, b"a picture of a thing")
    assert store.has(KEY)


def test_no_more_is_read_of_an_object_than_any_has(
    store: ArtefactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, b"x" * 100)
    assert store.get(KEY) == b"x" * 100
    read: list[int] = []
    files, cat_file = store._files, store._files.cat_file
    monkeypatch.setattr("artefacts.store._MOST_BYTES", 99)
    monkeypatch.setattr(
        files, "cat_file", lambda *a, **k: (found := cat_file(*a, **k), read.append(len(found)))[0]
    )
    assert store.get(KEY) is None
    assert read == [99 + 32]
    with pytest.raises(ValueError, match="at most 99 bytes"):
        store.put(KEY, b"x" * 100)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/./b",
        ".a",
        "A",
        "a b",
        "a\0",
        "a\n",
        "a\\b",
        "ä",
        "a" * 201,
        "s3://a",
    ],
)
def test_a_key_names_a_place_below_the_address(store: ArtefactStore, key: str) -> None:
    for use in (store.get, store.has, lambda k: store.put(k, b"")):
        with pytest.raises(ValueError, match="a key is"):
            use(key)


def test_a_killed_writer_leaves_the_object_before_or_the_one_after(tmp_path: Path) -> None:
    """It is killed when it has begun to write the second; the first is still whole."""
    store = ArtefactStore(str(tmp_path))
    store.put(KEY, b"before" * 1000)
    program = (
        "import os, sys\nfrom artefacts.store import ArtefactStore\nstore = ArtefactStore(sys.argv[1])\n"
        "store._files.mv = lambda *_: os.kill(os.getpid(), 9)\nstore.put(sys.argv[2], b'after' * 1000)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path), KEY], check=False).returncode == -9
    assert store.get(KEY) == b"before" * 1000


def test_what_killed_writers_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom artefacts.store import ArtefactStore\nstore = ArtefactStore(sys.argv[1])\n"
        "store._files.mv = lambda *_: os.kill(os.getpid(), 9)\nstore.put(sys.argv[2], b'torn')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), KEY], check=False)
    (left,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    ArtefactStore(str(tmp_path)).put(KEY, b"picture")
    assert left.is_file()  # another process may still be writing it
    os.utime(left, (0, 0))
    ArtefactStore(str(tmp_path)).put(KEY, b"picture")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / KEY]
