"""Under which name a release holds the pretrained model: never a path of one machine."""

import json
from pathlib import Path

import pytest

from artefacts.folders import Kind, StoreAwayError, name_of
from artefacts.local_folders import LocalFolders
from indexer.base_model import released_name
from schemas.settings import BUNDLED_MODEL

DIGEST = "ab" * 32


class ComingBack(LocalFolders):
    """Does not answer the first time."""

    away = True

    def put(self, kind: Kind, digest: str, folder: Path) -> str:
        if self.away:
            self.away = False
            raise StoreAwayError("no answer")
        return super().put(kind, digest, folder)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_what_every_process_has_keeps_its_name(tmp_path: Path) -> None:
    folders = LocalFolders(tmp_path / "store")
    for name in (BUNDLED_MODEL, name_of("models", DIGEST)):
        assert await released_name(name, DIGEST, folders, tmp_path) == name
    assert folders.found() == {}


async def test_a_folder_is_put_into_the_store_without_what_is_no_part_of_it(tmp_path: Path) -> None:
    model = tmp_path / "clip"
    for name, text in (
        ("model.safetensors", "weights"),
        ("1_Pooling/config.json", "{}"),
        (".git/config", "[core]"),
        (".gitattributes", ""),
        ("README (1).md", "# A model"),
        ("pytorch_model.bin", "weights"),
        ("onnx/model.onnx", "weights"),
        ("modules.json", json.dumps([])),
    ):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(text)
    folders = LocalFolders(tmp_path / "store")
    name = await released_name(str(model), DIGEST, folders, tmp_path)
    assert name == name_of("models", DIGEST)
    kept = {path.relative_to(folders.local(name)).as_posix() for path in folders.local(name).rglob("*.*")}
    assert kept == {"model.safetensors", "1_Pooling/config.json", "modules.json", "contents.json"}
    assert names_in(tmp_path) == {"clip", "store"}


async def test_a_store_that_is_away_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.base_model.AGAIN_S", 0.01)
    model, folders = tmp_path / "clip", ComingBack(tmp_path / "store")
    model.mkdir()
    (model / "model.safetensors").write_text("weights")
    (model / "modules.json").write_text("[]")
    name = await released_name(str(model), DIGEST, folders, tmp_path)
    assert (folders.local(name) / "model.safetensors").read_text() == "weights"
