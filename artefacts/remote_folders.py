"""Folders of a store that is elsewhere, such as a bucket, and the cache of them on this machine."""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import structlog

from artefacts.bounded import read_at_most, size_of
from artefacts.folders import (
    AGE,
    CONTENTS,
    KINDS,
    KINDS_OF_RUNS,
    PARTIAL,
    Contents,
    Kind,
    StoreAwayError,
    StoredFolderError,
    StoredFolders,
    fault_of,
    files_of,
    is_stored,
    key_of,
    name_of,
    sha256_of,
    unnamed,
)
from artefacts.unfinished import filling, sweep
from schemas.hidden import redacted

log = structlog.get_logger(__name__)


PAUSES_S = (1.0, 3.0)  # before a store that did not answer is asked again
CONTENTS_BYTES = 1 << 20  # of the list of a folder's files, at most: one of a snapshot has some ten
JUST_BEGUN = timedelta(minutes=1)  # a folder of the cache that may not be locked yet


@contextmanager
def _asked(address: str) -> Iterator[None]:
    try:
        yield
    except StoredFolderError:
        raise
    except Exception as error:  # each storage has faults of its own
        why = f"{type(error).__name__}: {error}"
        raise StoreAwayError(redacted(f"the store {address} does not answer: {why}")[:300]) from error


class RemoteFolders(StoredFolders):
    """Below an address that fsspec opens. What is fetched is compared with its sha256 and kept in a cache.

    A folder is there once its ``contents.json`` is, which is put last. The cache holds at most
    ``cache_bytes`` besides what is being fetched; the one not asked for the longest goes first, and who has
    it open keeps it.
    """

    def __init__(self, address: str, cache: Path, cache_bytes: int) -> None:
        self._files, self._root = fsspec.core.url_to_fs(address)
        self._address = address
        self._cache = cache
        self._bound = cache_bytes

    def put(self, kind: Kind, digest: str, folder: Path) -> str:
        """Keep the files of a folder; see ``StoredFolders``."""
        name = name_of(kind, digest)
        key = key_of(name)[0]
        contents = Contents.of(folder)

        def send() -> None:
            for relative, path in files_of(folder):  # also what is there: it may be damaged
                target = f"{self._root}/{key}/{relative}"
                self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self._files.put_file(str(path), target)
            self._files.pipe_file(f"{self._root}/{key}/{CONTENTS}", contents.to_json())
            if gone := sorted(set(contents.files) - self._there(key)):  # removed meanwhile, by who forgets
                self._files.rm_file(f"{self._root}/{key}/{CONTENTS}")
                raise StoreAwayError(f"{gone[0]} of {name} was removed while it was put")

        self._patiently(send)
        return name

    def local(self, name: str) -> Path:
        """Return where a folder or a file of it lies in the cache; it is fetched if it is not there."""
        key, file = key_of(name)
        place = self._cache / key
        if place.parent.name in KINDS_OF_RUNS and place.exists() and not self._holds(key):
            shutil.rmtree(place, ignore_errors=True)  # as a shopper was forgotten, it is nowhere to be read
        if fault_of(place) is not None:
            self._patiently(lambda: self._fetch(name, key, place))
            self._evict(but=place)
        with suppress(OSError):
            os.utime(place)
        return place / file if file else place

    def found(self) -> dict[str, datetime]:
        """Return what is there; see ``StoredFolders``."""
        with _asked(self._address):
            return self._found()

    def _found(self) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        self._files.invalidate_cache()  # of listings: others write as well
        for name in self._folders(KINDS):
            with suppress(FileNotFoundError):
                found[name] = _zoned(self._files.modified(f"{self._root}/{key_of(name)[0]}/{CONTENTS}"))
        return found

    def remove(self, kept: Collection[str], *, kinds: Collection[Kind], before: datetime) -> list[str]:
        """Remove folders, ``contents.json`` first, and what killed writers left; see ``StoredFolders``."""
        found = self.found()
        gone = unnamed(found, kept, kinds=kinds, before=before)
        with _asked(self._address):
            for name in gone:
                self._uncover(name)
            for name in [*gone, *self._unfinished(found, kinds, min(before, datetime.now(UTC) - AGE))]:
                with suppress(FileNotFoundError):
                    self._files.rm(f"{self._root}/{key_of(name)[0]}", recursive=True)
                self._uncover(name)  # who put it again meanwhile has lost files of it
        return gone

    def _uncover(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{key_of(name)[0]}/{CONTENTS}")

    def _there(self, key: str) -> set[str]:
        self._files.invalidate_cache()  # of listings: others remove as well
        return {path.split(f"{key}/", 1)[1] for path in self._files.find(f"{self._root}/{key}")}

    def _unfinished(self, found: Collection[str], kinds: Collection[Kind], before: datetime) -> Iterator[str]:
        """Yield the folders without ``contents.json`` to which nothing was added since ``before``."""
        for name in self._folders(kinds):
            if name not in found:
                files = self._files.find(f"{self._root}/{key_of(name)[0]}")
                if files and all(_zoned(self._files.modified(path)) < before for path in files):
                    yield name

    def _folders(self, kinds: Collection[Kind]) -> Iterator[str]:
        for kind in kinds:
            with suppress(FileNotFoundError):
                for path in self._files.ls(f"{self._root}/{kind}", detail=False, refresh=True):
                    if is_stored(name := name_of(kind, path.rstrip("/").rsplit("/", 1)[-1])):
                        yield name

    def _patiently(self, work: Callable[[], None]) -> None:
        for pause_s in (*PAUSES_S, None):
            try:
                with _asked(self._address):
                    work()
            except StoreAwayError:
                if pause_s is None:
                    raise
                time.sleep(pause_s)
            else:
                return

    def _fetch(self, name: str, key: str, place: Path) -> None:
        contents = self._contents(key)
        if contents is None:
            raise StoredFolderError(f"{name} is not in the store {redacted(self._address)}")
        with filling(place) as partial:
            for relative, file in contents.files.items():
                target = partial / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                source = f"{self._root}/{key}/{relative}"
                try:
                    # Its size first: what stands in its place may be larger than the disk
                    fits = size_of(self._files, source) in {file.bytes, None}
                    if fits:
                        self._files.get_file(source, str(target))
                except FileNotFoundError as error:
                    raise StoredFolderError(f"{relative} of {name} is not in the store") from error
                if not fits or sha256_of(target) != file.sha256:
                    raise StoredFolderError(f"{relative} of {name} in the store is not what was put there")
            (partial / CONTENTS).write_bytes(contents.to_json())
            if place.exists() and fault_of(place) is not None:  # damaged here
                shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):  # another process has fetched the same meanwhile
                partial.rename(place)
            if fault := fault_of(place):
                raise StoredFolderError(f"{place} cannot be used: {fault}")
            log.info("fetched from the store", name=name, files=len(contents.files))

    def _evict(self, *, but: Path) -> None:
        for kind in KINDS:
            sweep(self._cache / kind, before=datetime.now(UTC) - JUST_BEGUN)
        there = [path for kind in KINDS for path in (self._cache / kind).glob("*") if path.is_dir()]
        used = sorted(
            (path for path in there if path != but and path.suffix != PARTIAL), key=_used, reverse=True
        )
        room = self._bound - _bytes(but)
        for path in used:
            room -= _bytes(path)
            if room < 0:
                away = path.with_name(f"{path.name}.{uuid4().hex}{PARTIAL}")
                with suppress(OSError):
                    path.rename(away)
                shutil.rmtree(away, ignore_errors=True)
                log.info("evicted from the cache of the store", folder=path.name)

    def _holds(self, key: str) -> bool:
        with _asked(self._address):
            return self._contents(key) is not None

    def _contents(self, key: str) -> Contents | None:
        try:
            raw = read_at_most(self._files, f"{self._root}/{key}/{CONTENTS}", CONTENTS_BYTES)
        except FileNotFoundError:
            return None
        return Contents.parsed(raw, key)


def _zoned(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found: Any = path.stat()
            total += found.st_size
    return total
