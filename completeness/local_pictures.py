"""Pictures of a file of products that lie beside it, in a folder or a tar archive.

They are found by the address that a product names, whole or by its last part, and never outside of the
folder.
"""

import os
import tarfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from media.images import prepare
from media.preparation import PICTURE_BYTES
from schemas.rejections import Rejection

_LONGEST = 1000  # characters of a path
_LONGEST_PART = 255  # bytes of one name in it


class LocalPictures:
    """Gives the prepared picture of an address, why there is none, or None: there is no such file."""

    def __init__(self, place: Path) -> None:
        """Open it. Raises ``OSError``; ``tarfile.TarError`` for a file that is no archive."""
        self._folder = place.resolve() if place.is_dir() else None
        self._archive = None if self._folder else tarfile.open(place)  # noqa: SIM115 (open as long as the process)
        members = self._archive.getmembers() if self._archive else []
        files = [member for member in members if member.isfile()]
        self._members = {_last(m.name): m for m in files} | {m.name.removeprefix("./"): m for m in files}

    def __call__(self, address: str) -> bytes | Rejection | None:
        """Return it. Raises ``OSError`` for a file that is there and cannot be read."""
        data = self._data(_path_of(address).lstrip("/"))
        return None if data is None else prepare(data)

    def _data(self, path: str) -> bytes | None:
        if self._archive is not None:
            member = self._members.get(path) or self._members.get(_last(path))
            file = self._archive.extractfile(member) if member else None
            return file.read(PICTURE_BYTES + 1) if file else None
        assert self._folder is not None
        for name in filter(_names_a_file, (path, _last(path))):
            found = (self._folder / name).resolve()
            if found.is_relative_to(self._folder) and found.is_file():
                with found.open("rb") as opened:
                    return opened.read(PICTURE_BYTES + 1)
        return None


def _path_of(address: str) -> str:
    try:
        return unquote(urlsplit(address).path) if "://" in address else address
    except ValueError:  # no address, so no file
        return ""


def _names_a_file(path: str) -> bool:
    """Say whether a file system takes the path: it raises for any other."""
    try:
        parts = [os.fsencode(part) for part in path.split("/")]
    except UnicodeEncodeError:
        return False
    return bool(path) and "\0" not in path and len(path) < _LONGEST and max(map(len, parts)) <= _LONGEST_PART


def _last(path: str) -> str:
    return path.rpartition("/")[2]
