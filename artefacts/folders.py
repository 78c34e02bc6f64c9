"""Folders in the store by the digest of what they hold: models, memories, snapshots, reports and others.

A record names one as ``store:models/SHA256``, which is no path of any machine; each process asks for it under
its own address. ``contents.json`` in it says which files there are, with their sizes and sha256. A folder is
there as a whole or not at all, also when its writer is killed, and never changes. Nothing is loaded here.
"""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.releases import Candidate, Ranking, Release

Kind = Literal["models", "memories", "rankers", "vectors", "snapshots", "reports"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KINDS_OF_RUNS: Final[tuple[Kind, ...]] = ("snapshots", "reports")  # they tell of shoppers
KIND_OF: Final[Mapping[str, Kind]] = {"memory": "memories", "ranker": "rankers"}  # of a ranking's parts
SCHEME = "store:"
CONTENTS = "contents.json"
PARTIAL = ".part"
AGE = timedelta(hours=3)  # how long a folder that nobody names stays: a candidate is named soon after
_NAME = re.compile(rf"{SCHEME}(({'|'.join(KINDS)})/[0-9a-f]{{64}})(?:/([A-Za-z0-9][A-Za-z0-9._-]*))?")
_RELATIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_BLOCK_BYTES = 1 << 20


class StoredFolderError(ValueError):
    """A folder that the store does not have, or not as it was put; says which, and what is wrong."""


class StoreAwayError(StoredFolderError):
    """The store does not answer, so it is not known what it has. It may be later."""


class StoredFile(BaseModel):
    """Size in bytes and sha256 of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str


class Contents(BaseModel):
    """The files of a folder by their path in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, StoredFile]

    @classmethod
    def of(cls, folder: Path) -> "Contents":
        """Read every file of a folder once. Raises ``StoredFolderError`` for a name that no store keeps."""
        return cls(
            files={
                relative: StoredFile(bytes=path.stat().st_size, sha256=sha256_of(path))
                for relative, path in files_of(folder)
            }
        )

    @classmethod
    def parsed(cls, raw: bytes, key: str) -> "Contents":
        """Read what ``to_json`` wrote. Raises ``StoredFolderError`` for anything else."""
        try:
            found = cls.model_validate_json(raw)
        except ValidationError as error:
            raise StoredFolderError(f"{key}/{CONTENTS} in the store is damaged") from error
        for relative in found.files:
            _checked(relative, key)
        return found

    def to_json(self) -> bytes:
        """Return it as it is written."""
        return json.dumps(self.model_dump(), sort_keys=True, indent=1).encode()


class StoredFolders(ABC):
    """The folders of one store. May be used by several threads and processes."""

    @abstractmethod
    def put(self, kind: Kind, digest: str, folder: Path) -> str:
        """Keep a copy of a folder's files, or of one file; return the folder's name.

        What is there already counts as put now; where it is damaged it is mended. Raises
        ``StoredFolderError``, and ``OSError`` of this machine's disk.
        """

    @abstractmethod
    def local(self, name: str) -> Path:
        """Return where a folder, or a file of it, lies on this machine. Raises ``StoredFolderError``."""

    @abstractmethod
    def found(self) -> dict[str, datetime]:
        """Return the name of every folder, and when it was put last."""

    @abstractmethod
    def remove(self, kept: Collection[str], *, kinds: Collection[Kind], before: datetime) -> list[str]:
        """Remove folders of these kinds that are not ``kept``, put before a moment; return their names.

        What was begun and is not whole may be somebody's who still puts it: it stays for ``AGE``.
        """


def name_of(kind: Kind, digest: str) -> str:
    """Return the name of a folder.

    >>> name_of("models", "ab" * 32)[:20]
    'store:models/abababa'
    """
    return f"{SCHEME}{kind}/{digest}"


def is_stored(name: str) -> bool:
    """Say whether a name is one of the store, and not a path."""
    return _NAME.fullmatch(name) is not None


def is_of(kind: Kind, name: str) -> bool:
    """Say whether a name is that of a folder of the kind, and of no file in it."""
    return is_stored(name) and key_of(name) == (f"{kind}/{name[-64:]}", "")


def key_of(name: str) -> tuple[str, str]:
    """Return ``(kind/digest, file)`` of a name; "" where it names no file. Raises ``StoredFolderError``."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise StoredFolderError(f"{name[:200]!r} names no folder of the store")
    return found[1], found[3] or ""


def stored_ranking(ranking: Ranking) -> Ranking:
    """Return the ranking with its artefacts under their names in the store; what lies elsewhere stays."""
    named = {
        part: (name_of(KIND_OF[part], digest) if part in KIND_OF else path, digest)
        for part, (path, digest) in ranking.artefacts.items()
    }
    return ranking.model_copy(update={"artefacts": named})


def names_of(release: Release) -> set[str]:
    """Return the names of the folders that a release needs, or may need to be built."""
    candidate: Candidate | None = release.command.candidate if release.command else None
    told = [release.model]
    if candidate is not None and candidate.vectors is not None:
        told.append(candidate.vectors)
    return folders_in(release.ranking) | {SCHEME + key_of(name)[0] for name in told if is_stored(name)}


def folders_in(ranking: Ranking) -> set[str]:
    """Return the names of the folders that a ranking needs."""
    return {SCHEME + key_of(name)[0] for name, _ in ranking.artefacts.values() if is_stored(name)}


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file of a folder with its path in it, sorted; a file is a folder of one.

    Raises ``StoredFolderError`` for a name that no store keeps.
    """
    if folder.is_file():
        yield _checked(folder.name, str(folder.parent)), folder
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != CONTENTS:
            yield _checked(path.relative_to(folder).as_posix(), str(folder)), path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()


def _checked(relative: str, where: str) -> str:
    if not _RELATIVE.fullmatch(relative) or len(relative) > 200:
        raise StoredFolderError(f"{where} holds {relative[:200]!r}, which is no name of a file in a store")
    return relative


def unnamed(
    found: Mapping[str, datetime], kept: Collection[str], *, kinds: Collection[Kind], before: datetime
) -> list[str]:
    """Return the names that may go: of these kinds, not kept, put before. ``found``: when each was put."""
    return sorted(
        name
        for name, at in found.items()
        if name not in kept and at < before and key_of(name)[0].split("/")[0] in kinds
    )


def fault_of(folder: Path) -> str | None:
    """Return why a folder of this machine is not whole, or None. Sizes are compared, contents not read."""
    try:
        contents = Contents.parsed((folder / CONTENTS).read_bytes(), folder.name)
        for relative, file in contents.files.items():
            if (size := (folder / relative).stat().st_size) != file.bytes:
                return f"{relative} has {size} bytes of {file.bytes}"
    except StoredFolderError as error:
        return str(error)
    except FileNotFoundError as error:
        return f"{Path(error.filename or folder).name} is missing"
    except OSError as error:
        return str(error.strerror)
    return None
