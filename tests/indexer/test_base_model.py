"""Under which name a release holds the pretrained model: never a path of one machine."""

import json
from pathlib import Path

from artefacts.folders import name_of
from artefacts.local_folders import LocalFolders
from indexer.base_model import released_name
from schemas.settings import BUNDLED_MODEL

DIGEST = "ab" * 32


def test_what_every_process_has_keeps_its_name(tmp_path: Path) -> None:
    folders = LocalFolders(tmp_path / "store")
    for name in (BUNDLED_MODEL, name_of("models", DIGEST)):
        assert released_name(name, DIGEST, folders, tmp_path) == name
    assert folders.found() == {}


def test_a_folder_is_put_into_the_store_without_what_is_no_part_of_it(tmp_path: Path) -> None:
    model = tmp_path / "clip"
    for name, text in (
        ("model.safetensors", "weights"),
        ("1_Pooling/config.json", "{}"),
        (".git/config", "[core]"),
        (".gitattributes", ""),
        ("modules.json", json.dumps([])),
    ):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(text)
    folders = LocalFolders(tmp_path / "store")
    name = released_name(str(model), DIGEST, folders, tmp_path)
    assert name == name_of("models", DIGEST)
    kept = {path.relative_to(folders.local(name)).as_posix() for path in folders.local(name).rglob("*.*")}
    assert kept == {"model.safetensors", "1_Pooling/config.json", "modules.json", "contents.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "store"}
