"""Objects by key, on whatever fsspec opens: a folder, or a bucket of S3, Azure or Google.

A key says what an object was made of, so an object never changes and may be written twice. What is read is
what was written: a torn or changed object is a miss, and is made again. The only home of fsspec.
"""

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import fsspec

from artefacts.bounded import read_at_most

_KEY = re.compile(r"(?=.{1,200}\Z)[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_DIGEST_BYTES = hashlib.sha256().digest_size
_MOST_BYTES = 64 << 20  # of an object: a hundred times a prepared picture
_UNFINISHED = ".unfinished"  # no key begins so
_ABANDONED = timedelta(hours=1)


class ArtefactStore:
    """The objects under one address, ``file://`` or any other that fsspec knows.

    Accounts and endpoints are those of fsspec's own configuration. A fault of the storage is raised as it is.
    """

    def __init__(self, address: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(address)
        # A rename is atomic where files are; an object store shows what was put once all of it is there.
        self._renames = "file" in self._files.protocol
        self._swept = False

    def put(self, key: str, data: bytes) -> None:
        """Keep an object under its key: all of it or nothing, also when the process is killed.

        Its sha256 stands behind it, where readers of pictures and archives do not look. What a killed writer
        leaves lies in a folder of its own, and is removed by a later one. Raises ``ValueError`` for one that
        is too large.
        """
        path = self._path(key)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"an object has at most {_MOST_BYTES} bytes, {key} has {len(data)}")
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        first = self._unfinished() if self._renames else path
        self._files.pipe_file(first, data + hashlib.sha256(data).digest())
        if self._renames:
            self._files.mv(first, path)

    def get(self, key: str) -> bytes | None:
        """Return the object, or None: there is none, or it is not what was put.

        No more of it is read than any object has.
        """
        try:
            found = read_at_most(self._files, self._path(key), _MOST_BYTES + _DIGEST_BYTES)
        except FileNotFoundError:
            return None
        data, digest = found[:-_DIGEST_BYTES], found[-_DIGEST_BYTES:]
        return data if hashlib.sha256(data).digest() == digest else None

    def has(self, key: str) -> bool:
        """Say whether ``get`` has an answer; costs as much."""
        return self.get(key) is not None

    def _unfinished(self) -> str:
        folder = f"{self._root}/{_UNFINISHED}"
        self._files.makedirs(folder, exist_ok=True)
        for left in () if self._swept else self._files.ls(folder, detail=False):
            with suppress(FileNotFoundError):
                if datetime.now(UTC) - self._files.modified(left) > _ABANDONED:
                    self._files.rm_file(left)
        self._swept = True
        return f"{folder}/{uuid4().hex}"

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(
                "a key is 1 to 200 of a-z 0-9 . _ - in parts divided by /, none with a dot first"
            )
        return f"{self._root}/{key}"
