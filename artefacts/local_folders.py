"""Folders of a store that is a folder of this machine: they are used where they lie."""

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from artefacts.folders import (
    AGE,
    CONTENTS,
    KINDS,
    PARTIAL,
    Contents,
    Kind,
    StoredFolderError,
    StoredFolders,
    fault_of,
    files_of,
    is_stored,
    key_of,
    name_of,
    unnamed,
)


class LocalFolders(StoredFolders):
    """Below ``root``. A file that is put is linked, not copied, where the file system can."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, kind: Kind, digest: str, folder: Path) -> str:
        """Keep the files of a folder; see ``StoredFolders``."""
        name = name_of(kind, digest)
        final = self._root / key_of(name)[0]
        if fault_of(final) is None and Contents.of(final) == Contents.of(folder):
            with suppress(FileNotFoundError):
                (final / CONTENTS).touch()
                return name
        partial = final.with_name(f"{digest}.{uuid4().hex}{PARTIAL}")
        try:
            self._fill(partial, folder)
            self._move(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return name

    def local(self, name: str) -> Path:
        """Return where a folder or a file of it lies; sizes are compared, contents not read."""
        key, file = key_of(name)
        if fault := fault_of(self._root / key):
            raise StoredFolderError(f"{name} is not in the store {self._root}: {fault}")
        return self._root / key / file if file else self._root / key

    def found(self) -> dict[str, datetime]:
        """Return what is there; see ``StoredFolders``."""
        found: dict[str, datetime] = {}
        for kind in KINDS:
            for path in (self._root / kind).glob("*"):
                if is_stored(name := name_of(kind, path.name)):
                    with suppress(FileNotFoundError):
                        found[name] = _at(path / CONTENTS)
        return found

    def remove(self, kept: Collection[str], *, kinds: Collection[Kind], before: datetime) -> list[str]:
        """Remove folders, and what killed writers left; see ``StoredFolders``."""
        abandoned = min(before, datetime.now(UTC) - AGE)
        for left in self._root.glob(f"*/*{PARTIAL}"):
            with suppress(FileNotFoundError):
                if _at(left) < abandoned:
                    shutil.rmtree(left, ignore_errors=True)
        gone = unnamed(self.found(), kept, kinds=kinds, before=before)
        for name in gone:
            path = self._root / key_of(name)[0]
            away = path.with_name(f"{path.name}.{uuid4().hex}{PARTIAL}")
            with suppress(FileNotFoundError):
                path.rename(away)  # nobody finds half of it
            shutil.rmtree(away, ignore_errors=True)
        return gone

    def _fill(self, partial: Path, folder: Path) -> None:
        contents = Contents.of(folder)
        for relative, path in files_of(folder):
            target = partial / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, target)
            _settle(target)
        partial.mkdir(parents=True, exist_ok=True)
        (partial / CONTENTS).write_bytes(contents.to_json())
        _settle(partial / CONTENTS)

    def _move(self, partial: Path, final: Path) -> None:
        if fault := fault_of(partial):
            raise StoredFolderError(f"{partial} cannot be put: {fault}")
        for _ in range(2):
            try:
                partial.rename(final)
            except OSError:
                if fault_of(final) is None and Contents.of(final) == Contents.of(partial):
                    return  # somebody else has put the same meanwhile
                damaged = final.with_name(f"{final.name}.{uuid4().hex}{PARTIAL}")
                with suppress(FileNotFoundError):
                    final.rename(damaged)
                shutil.rmtree(damaged, ignore_errors=True)
            else:
                _settle(final.parent)
                return
        raise StoredFolderError(f"{final} cannot be written")


def _at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _settle(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
