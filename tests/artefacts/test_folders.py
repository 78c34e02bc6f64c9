"""Folders in the store: whole or not at all, the same everywhere, removed only when nobody needs them."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from artefacts import local_folders, remote_folders
from artefacts.collecting import EARLIER, KEPT_RUNS, collect, evidence_of, forget, forget_runs, needed
from artefacts.folders import (
    AGE,
    CONTENTS,
    KINDS,
    StoreAwayError,
    StoredFolderError,
    StoredFolders,
    is_stored,
    name_of,
    names_of,
    stored_ranking,
)
from artefacts.local_folders import LocalFolders
from artefacts.located import local, open_folders, use_store
from artefacts.remote_folders import RemoteFolders
from indexer.refresh_proof import gone
from retrieval.model_folder import ModelError, resolve_model
from schemas.releases import Candidate, DeploymentCommand, Ranking, Release, ReleaseState
from schemas.settings import SettingsError
from schemas.training import TrainingRun
from tests.artefacts.folders_on_disk import FILES, a_folder, read

DIGEST, OTHER = "ab" * 32, "cd" * 32
SOON = timedelta(minutes=1)


@pytest.fixture(params=["folder", "elsewhere"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoredFolders:
    address = str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid4()}"
    return open_folders(address, tmp_path / "cache", 1 << 30)


def a_release(number: int, state: ReleaseState, digest: str = DIGEST, **fields: object) -> Release:
    return Release.model_validate(
        {
            "generation": number,
            "model": name_of("models", digest),
            "model_sha256": digest,
            "dim": 3,
            "collection": f"c{number}",
            "state": state,
            "at": datetime.now(UTC),
            **fields,
        }
    )


def test_what_was_put_is_found_by_its_name(store, tmp_path):
    name = store.put("models", DIGEST, a_folder(tmp_path / "run" / "model"))
    assert name == name_of("models", DIGEST)
    assert read(store.local(name)) == FILES
    assert store.local(f"{name}/model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_file_is_a_folder_of_one(store, tmp_path):
    file = a_folder(tmp_path / "run", {"vectors.npz": b"numbers"}) / "vectors.npz"
    name = store.put("vectors", DIGEST, file)
    assert read(store.local(name)) == {"vectors.npz": b"numbers"}


def test_what_the_writer_removes_or_replaces_afterwards_stays(store, tmp_path):
    run = a_folder(tmp_path / "run")
    name = store.put("models", DIGEST, run)
    (run / "model.safetensors").unlink()
    (run / "1_Pooling" / "config.json").unlink()
    assert read(store.local(name)) == FILES


def test_what_is_put_twice_is_there_once(store, tmp_path):
    run = a_folder(tmp_path / "run")
    assert store.put("models", DIGEST, run) == store.put("models", DIGEST, run)
    assert read(store.local(name_of("models", DIGEST))) == FILES


@pytest.mark.parametrize("name", KINDS)
def test_what_nobody_put_is_told_by_name(store, name):
    with pytest.raises(StoredFolderError, match=f"{name}/{DIGEST[:8]}"):
        store.local(name_of(name, DIGEST))


@pytest.mark.parametrize(
    "name",
    [
        "store:models/../../etc",
        f"store:models/{DIGEST}/../x",
        f"store:models/{DIGEST}/a/b",
        f"store:pictures/{DIGEST}",
        f"store:models/{DIGEST.upper()}",
        f"store:models/{DIGEST}/.hidden",
        f"models/{DIGEST}",
        f"store:models/{DIGEST}\n",
        "",
    ],
)
def test_a_name_that_leads_elsewhere_is_no_name(store, name):
    assert not is_stored(name)
    with pytest.raises(StoredFolderError):
        store.local(name)


def test_a_folder_with_a_hidden_file_is_not_put(store, tmp_path):
    with pytest.raises(StoredFolderError, match="no name of a file"):
        store.put("models", DIGEST, a_folder(tmp_path / "run", {".git/config": b"x"}))
    with pytest.raises(StoredFolderError):
        store.local(name_of("models", DIGEST))


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"short")])
def test_a_damaged_folder_is_refused_and_can_be_put_again(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    store = open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    path = store.local(name) / "model.safetensors"
    copied = path.read_bytes()
    path.unlink()
    path.write_bytes(copied)  # no link to the run's
    damage(path)
    with pytest.raises(StoredFolderError, match=r"model\.safetensors"):
        store.local(name)
    store.put("models", DIGEST, tmp_path / "run")
    assert read(store.local(name)) == FILES


def test_a_file_of_the_right_size_and_another_content_is_mended_by_putting_it_again(store, tmp_path):
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    other = b"W" + FILES["model.safetensors"][1:]
    if isinstance(store, RemoteFolders):
        store._files.pipe_file(f"{store._root}/models/{DIGEST}/model.safetensors", other)
    else:
        path = store.local(name) / "model.safetensors"
        path.unlink()
        path.write_bytes(other)
    store.put("models", DIGEST, tmp_path / "run")
    assert read(store.local(name)) == FILES


@pytest.mark.parametrize("cached", [False, True])
def test_a_corrupt_object_elsewhere_is_refused_and_a_cached_copy_serves_on(tmp_path, cached):
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    if cached:
        store.local(name)
    corrupt = b"W" + FILES["model.safetensors"][1:]
    store._files.pipe_file(f"{store._root}/models/{DIGEST}/model.safetensors", corrupt)
    if cached:
        assert read(store.local(name)) == FILES
    else:
        with pytest.raises(StoredFolderError, match=r"model\.safetensors .* is not what was put"):
            store.local(name)
        assert list((tmp_path / "cache").rglob("*.part")) == []


@pytest.mark.parametrize("grown", ["model.safetensors", CONTENTS])
def test_of_an_object_that_has_grown_no_more_is_read_than_was_put(tmp_path, monkeypatch, grown):
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    path = f"{store._root}/models/{DIGEST}/{grown}"
    store._files.pipe_file(path, store._files.cat_file(path) + b"x" * (2 << 20))
    read: dict[str, int] = {}
    cat_file, get_file = store._files.cat_file, store._files.get_file

    def cat(path, **limits):
        found = cat_file(path, **limits)
        read[path] = len(found)
        return found

    def get(path, target):
        get_file(path, target)
        read[path] = Path(target).stat().st_size

    monkeypatch.setattr(store._files, "cat_file", cat)
    monkeypatch.setattr(store._files, "get_file", get)
    with pytest.raises(StoredFolderError, match=r"is not what was put|is damaged"):
        store.local(name)
    assert read.get(path, 0) <= 1 << 20


def test_a_store_that_does_not_answer_is_away_and_not_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folders, "PAUSES_S", (0.01,))
    store = open_folders("http://ann:s3cret@127.0.0.1:9/store", tmp_path / "cache", 1 << 30)
    with pytest.raises(StoreAwayError, match="does not answer") as away:
        store.local(name_of("models", DIGEST))
    assert "s3cret" not in str(away.value)
    with pytest.raises(StoreAwayError):
        store.put("models", DIGEST, a_folder(tmp_path / "run"))
    use_store(store)
    remembers = Ranking(artefacts={"memory": (name_of("memories", DIGEST), DIGEST)})
    assert gone(remembers) is None  # a rollback does not wait for the store
    with pytest.raises(ModelError, match="does not answer"):
        resolve_model(name_of("models", DIGEST))


def test_a_store_that_is_away_for_a_moment_loses_no_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_folders, "PAUSES_S", (0.01, 0.01))
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    put_file, failing = store._files.put_file, [OSError("try again"), OSError("try again")]

    def sometimes(*arguments: object) -> None:
        if failing:
            raise failing.pop()
        put_file(*arguments)

    monkeypatch.setattr(store._files, "put_file", sometimes)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    assert read(store.local(name)) == FILES
    assert failing == []


def test_what_the_store_lacks_is_gone(tmp_path):
    use_store(open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30))
    remembers = Ranking(artefacts={"memory": (name_of("memories", DIGEST), DIGEST)})
    assert "its memory is gone" in str(gone(remembers))


def test_a_store_that_cannot_be_opened_is_a_setting_that_does_not_fit(tmp_path):
    with pytest.raises(SettingsError, match=r"artefacts: nowhere://x cannot be opened"):
        open_folders("nowhere://x", tmp_path, 1 << 30)


def test_a_damaged_cache_is_fetched_again(tmp_path):
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    (store.local(name) / "model.safetensors").write_bytes(b"short")
    assert read(store.local(name)) == FILES


def test_the_cache_evicts_what_was_not_used_for_the_longest(tmp_path):
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 20_000)  # two of three
    names = [
        store.put("models", c * 64, a_folder(tmp_path / c, {"w.safetensors": c.encode() * 8_000}))
        for c in "abc"
    ]
    store.local(names[0])
    time.sleep(0.02)
    store.local(names[1])
    time.sleep(0.02)
    store.local(names[0])
    held = store.local(names[2]) / "w.safetensors"
    assert sorted(p.name[0] for p in (tmp_path / "cache" / "models").iterdir()) == ["a", "c"]
    assert held.stat().st_size == 8_000
    assert (store.local(names[1]) / "w.safetensors").read_bytes() == b"b" * 8_000


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_killed_writer_leaves_a_whole_folder_or_none(tmp_path, monkeypatch, after):
    source = a_folder(tmp_path / "run", {f"f{n}.safetensors": bytes(200_000) for n in range(60)})
    script = textwrap.dedent(
        f"""
        import os, pathlib
        from artefacts.located import open_folders
        os.link = None  # copies, which take longer
        def refuse(*_): raise OSError
        os.link = refuse
        print("go", flush=True)
        store = open_folders({str(tmp_path / "store")!r}, pathlib.Path({str(tmp_path / "cache")!r}), 1 << 30)
        while True:
            store.put("models", {DIGEST!r}, pathlib.Path({str(source)!r}))
            store.remove((), kinds=("models",), before=__import__("datetime").datetime.max.replace(
                tzinfo=__import__("datetime").UTC))
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(after)
        writer.send_signal(signal.SIGKILL)
    store = open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30)
    name = name_of("models", DIGEST)
    try:
        found = store.local(name)
    except StoredFolderError:
        store.put("models", DIGEST, source)
        found = store.local(name)
    assert len(read(found)) == 60
    later = datetime.now(UTC) + SOON
    monkeypatch.setattr(local_folders, "AGE", -SOON)
    assert store.remove([name], kinds=KINDS, before=later) == []
    assert [p.name for p in (tmp_path / "store" / "models").iterdir()] == [DIGEST]  # no leftovers


def test_what_is_needed_or_new_stays(store, tmp_path):
    for digest in (DIGEST, OTHER):
        store.put("models", digest, a_folder(tmp_path / digest))
    now = datetime.now(UTC)
    releases = [a_release(1, ReleaseState.RELEASED)]
    assert collect(store, releases, [], now=now) == []  # the other one may be about to be named
    assert collect(store, [], [], now=now + AGE + SOON) == []  # nothing is known
    assert collect(store, releases, [], now=now + AGE + SOON) == [name_of("models", OTHER)]
    assert read(store.local(name_of("models", DIGEST))) == FILES
    with pytest.raises(StoredFolderError):
        store.local(name_of("models", OTHER)) if not isinstance(store, RemoteFolders) else store._fetch(
            name_of("models", OTHER), f"models/{OTHER}", tmp_path / "again"
        )


def a_run(number: int, **fields: object) -> TrainingRun:
    named = {
        "snapshot": name_of("snapshots", f"{number:064x}"),
        "report": name_of("reports", f"{number:064x}"),
    }
    return TrainingRun.model_validate(
        {"run_id": f"2026-{number:03d}", "state": "deployed", **named, **fields}
    )


def test_snapshots_and_reports_stay_for_the_newest_runs_and_for_what_stands() -> None:
    runs = [a_run(n) for n in range(30)]
    standing = a_release(1, ReleaseState.RETIRED, run_id="2026-003")
    gone = a_release(2, ReleaseState.FAILED, run_id="2026-004")
    kept = {
        name_of(kind, f"{n:064x}")
        for kind in ("snapshots", "reports")
        for n in (3, *range(30 - KEPT_RUNS, 30))
    }
    assert needed([standing, gone], runs) == kept | {standing.model}


def test_a_run_that_names_what_is_not_its_own_keeps_nothing() -> None:
    model, path = name_of("models", OTHER), "/etc"
    forged = a_run(1, snapshot=model, report=path)
    assert evidence_of(forged) == set()
    assert needed([a_release(1, ReleaseState.RELEASED)], [forged]) == {name_of("models", DIGEST)}


def test_a_cached_report_is_read_only_while_the_store_has_it(tmp_path: Path) -> None:
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    report, model = (store.put(kind, DIGEST, a_folder(tmp_path / "run")) for kind in ("reports", "models"))
    assert read(store.local(report)) == read(store.local(report)) == FILES
    store.local(model)
    forget_runs(store, now=datetime.now(UTC) + SOON)
    with pytest.raises(StoredFolderError, match="is not in the store"):
        store.local(report)
    assert list((tmp_path / "cache" / "reports").iterdir()) == []
    assert read(store.local(model)) == FILES


def test_what_was_put_again_is_new(store, tmp_path):
    run = a_folder(tmp_path / "run")
    store.put("models", DIGEST, run)
    time.sleep(0.05)
    between = datetime.now(UTC)
    time.sleep(0.05)
    store.put("models", DIGEST, run)
    assert store.remove((), kinds=KINDS, before=between) == []


def test_what_stands_and_the_newest_that_served_are_needed():
    digests = [f"{n:064x}" for n in range(20)]
    dropped = [a_release(n, ReleaseState.DROPPED, digests[n]) for n in range(1, 10)]
    memory = {"memory": (name_of("memories", OTHER), OTHER)}
    live = a_release(12, ReleaseState.RELEASED, digests[12], ranking=Ranking(artefacts=memory))
    failed = a_release(11, ReleaseState.FAILED, digests[11])
    found = needed([*dropped, live, failed])
    last = {name_of("models", digests[n]) for n in range(10 - EARLIER, 10)}
    assert found == {*last, name_of("models", digests[12]), name_of("memories", OTHER)}


def test_a_release_names_the_vectors_that_it_is_built_from():
    command = DeploymentCommand(
        command_id="c",
        action="promote",
        candidate=Candidate(
            model=name_of("models", DIGEST),
            model_sha256=DIGEST,
            dim=3,
            vectors=f"{name_of('vectors', DIGEST)}/vectors.npz",
        ),
    )
    found = names_of(a_release(1, ReleaseState.BUILDING, command=command))
    assert found == {name_of("models", DIGEST), name_of("vectors", DIGEST)}


def test_when_somebody_is_forgotten_only_the_memory_of_what_serves_stays(store, tmp_path):
    for digest in (DIGEST, OTHER):
        store.put("memories", digest, a_folder(tmp_path / digest))
        store.put("rankers", digest, tmp_path / digest)
    told = [
        store.put("snapshots", DIGEST, tmp_path / DIGEST),
        store.put("reports", DIGEST, tmp_path / DIGEST),
    ]
    serves = Ranking(artefacts={"memory": (name_of("memories", DIGEST), DIGEST)})
    later = datetime.now(UTC) + SOON
    assert forget(store, [serves], now=later) == [name_of("memories", OTHER)]
    assert sorted(forget_runs(store, now=later)) == sorted(told)


def test_what_is_just_being_put_on_this_machine_stays_when_somebody_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, fill = LocalFolders(tmp_path / "store"), LocalFolders._fill

    def filled(self: LocalFolders, partial: Path, folder: Path) -> None:
        fill(self, partial, folder)
        forget(store, [], now=datetime.now(UTC) + SOON)

    monkeypatch.setattr(LocalFolders, "_fill", filled)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    assert read(store.local(name)) == FILES


def test_what_is_just_being_put_elsewhere_stays_when_somebody_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    put_file, puts = store._files.put_file, list[str]()

    def putting(source: str, target: str) -> None:
        put_file(source, target)
        puts.append(target)
        forget_runs(store, now=datetime.now(UTC) + SOON)

    monkeypatch.setattr(store._files, "put_file", putting)
    name = store.put("snapshots", DIGEST, a_folder(tmp_path / "run"))
    assert len(puts) == len(FILES)
    assert read(store.local(name)) == FILES


@pytest.mark.parametrize("times", [1, 9])
def test_a_put_that_lost_files_meanwhile_puts_them_again_or_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(remote_folders, "PAUSES_S", (0.01,))
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    pipe_file, left = store._files.pipe_file, [times]

    def piping(target: str, data: bytes) -> None:
        if left[0]:
            left[0] -= 1
            store._files.rm_file(target.replace(CONTENTS, "model.safetensors"))
        pipe_file(target, data)

    monkeypatch.setattr(store._files, "pipe_file", piping)
    if times == 1:
        assert read(store.local(store.put("models", DIGEST, a_folder(tmp_path / "run")))) == FILES
    else:
        with pytest.raises(StoredFolderError, match=r"model\.safetensors .* was removed while"):
            store.put("models", DIGEST, a_folder(tmp_path / "run"))
        assert store.found() == {}


def test_who_puts_again_what_is_being_removed_does_not_make_half_of_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RemoteFolders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    rm, contents = store._files.rm, f"{store._root}/models/{DIGEST}/{CONTENTS}"
    said = store._files.cat_file(contents)

    def removing(path: str, **how: bool) -> None:
        rm(path, **how)
        store._files.pipe_file(contents, said)

    monkeypatch.setattr(store._files, "rm", removing)
    assert store.remove((), kinds=KINDS, before=datetime.now(UTC) + SOON) == [name]
    assert store.found() == {}


def test_a_put_on_this_machine_that_lost_files_meanwhile_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, fill = LocalFolders(tmp_path / "store"), LocalFolders._fill

    def filled(self: LocalFolders, partial: Path, folder: Path) -> None:
        fill(self, partial, folder)
        (partial / "model.safetensors").unlink()

    monkeypatch.setattr(LocalFolders, "_fill", filled)
    with pytest.raises(StoredFolderError, match=r"model\.safetensors is missing"):
        store.put("models", DIGEST, a_folder(tmp_path / "run"))
    assert store.found() == {}


def test_artefacts_of_a_ranking_are_named_by_their_digest():
    lies = Ranking(artefacts={"memory": ("/runs/1/memory", DIGEST), "ranker": ("/runs/1/ranker", OTHER)})
    named = stored_ranking(lies)
    assert named.artefacts == {
        "memory": (name_of("memories", DIGEST), DIGEST),
        "ranker": (name_of("rankers", OTHER), OTHER),
    }
    assert stored_ranking(named) == named


def test_a_path_is_a_path_and_a_name_is_looked_up_in_the_store_that_was_told(tmp_path):
    store = open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30)
    name = store.put("models", DIGEST, a_folder(tmp_path / "run"))
    use_store(store)
    assert local(str(tmp_path / "run")) == tmp_path / "run"
    assert read(local(name)) == FILES
