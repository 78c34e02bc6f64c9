"""A folder of arrays that several processes share by memory map.

``manifest.json`` says what each file holds, with its sha256; the digest of the folder is that of the
manifest. Written beside its place and then moved, so it is there as a whole or not at all. Holds no pickle.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from artefacts.folders import StoredFolderError
from artefacts.located import local

_BLOCK_BYTES = 1 << 20
_MANIFEST = "manifest.json"

Array = npt.NDArray[Any]


class ArtefactError(ValueError):
    """A folder of arrays that is missing, incomplete, damaged, or another than the one that was asked for."""


def artefact_folder(name: str) -> Path:
    """Return where the artefact of a ranking lies. Raises ``ArtefactError`` for one that the store lacks."""
    try:
        return local(name)
    except StoredFolderError as error:
        raise ArtefactError(str(error)) from error


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: list[int]
    sha256: str


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    facts: dict[str, str | int]
    arrays: dict[str, _File]


class MappedArrays:
    """The arrays of a folder, read-only, and the facts that were written with them."""

    def __init__(self, arrays: Mapping[str, Array], facts: Mapping[str, str | int], digest: str) -> None:
        self.arrays, self.facts, self.digest = arrays, facts, digest

    @classmethod
    def open(cls, folder: Path, form: str, *, sha256: str | None = None, contents: bool = True) -> Self:
        """Map the arrays of ``folder``, whose format must be ``form`` and whose digest ``sha256``.

        ``contents``: also compare each file with its sha256, which reads all of it once. Raises
        ``ArtefactError``.
        """
        try:
            told = (folder / _MANIFEST).read_bytes()
            manifest = _Manifest.model_validate_json(told)
        except (OSError, ValidationError) as error:
            raise ArtefactError(f"{folder} has no manifest that can be read: {str(error)[:300]}") from error
        digest = hashlib.sha256(told).hexdigest()
        if manifest.format != form:
            raise ArtefactError(f"{folder} is of the format {manifest.format[:100]!r}, expected {form!r}")
        if sha256 is not None and digest != sha256:
            raise ArtefactError(f"{folder} has the digest {digest}, expected {sha256}")
        arrays = {name: _mapped(folder, name, file) for name, file in manifest.arrays.items()}
        for name, file in manifest.arrays.items():
            if contents and _digest(folder / f"{name}.npy") != file.sha256:
                raise ArtefactError(f"{folder / name}.npy is damaged: its sha256 is not that of the manifest")
        return cls(arrays, manifest.facts, digest)


def write_arrays(folder: Path, form: str, arrays: Mapping[str, Array], facts: Mapping[str, str | int]) -> str:
    """Write a folder that is not there yet; return its digest, the same for the same arrays and facts.

    A folder that is there is kept when it holds the same, otherwise ``ArtefactError`` is raised.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        files = {}
        for name, array in sorted(arrays.items()):
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            files[name] = _File(
                dtype=array.dtype.str, shape=list(array.shape), sha256=_digest(partial / f"{name}.npy")
            )
        manifest = _Manifest(format=form, facts=dict(sorted(facts.items())), arrays=files)
        told = json.dumps(manifest.model_dump(), sort_keys=True, indent=1).encode()
        with (partial / _MANIFEST).open("wb") as file:
            file.write(told)
            file.flush()
            os.fsync(file.fileno())
        digest = hashlib.sha256(told).hexdigest()
        if folder.exists():
            MappedArrays.open(folder, form, sha256=digest)
        else:
            partial.chmod(0o755)
            partial.rename(folder)
            _settle(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return digest


def _mapped(folder: Path, name: str, file: _File) -> Array:
    path = folder / f"{name}.npy"
    if not name.isidentifier():
        raise ArtefactError(f"{folder} names an array {name[:100]!r}, which is no name of a file")
    try:
        found = np.load(path, mmap_mode="r" if 0 not in file.shape else None, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}") from error
    if found.dtype.str != file.dtype or list(found.shape) != file.shape:
        raise ArtefactError(
            f"{path} holds {found.dtype.str}{list(found.shape)}, the manifest says {file.dtype}{file.shape}"
        )
    view: Array = np.asarray(found)
    return view


def _digest(path: Path) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()


def _settle(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
