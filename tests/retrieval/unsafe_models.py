"""Folders of models that could run code as they are loaded."""

import json
import pickle
from pathlib import Path


class Planted:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, (str(self._mark), "w"))  # type: ignore[return-value]


def with_module(folder: Path, kind: str, path: str = "2_Dense") -> Path:
    """Add a module to a folder."""
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(
        json.dumps([*modules, {"idx": 9, "name": "9", "path": path, "type": kind}])
    )
    return folder


def with_pickle(folder: Path, mark: Path, name: str = "pytorch_model.bin") -> Path:
    """Add a module whose weights, read as a pickle, make the file ``mark``."""
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(
        json.dumps({"in_features": 384, "out_features": 384, "activation_function": "torch.nn.Identity"})
    )
    (folder / "2_Dense" / name).write_bytes(pickle.dumps(Planted(mark)))
    return with_module(folder, "sentence_transformers.models.Dense")
