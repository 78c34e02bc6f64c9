"""Which store the names of folders are asked of in this process: told once, when it begins."""

from pathlib import Path
from urllib.parse import urlsplit

from artefacts.folders import StoredFolderError, StoredFolders, is_stored
from artefacts.local_folders import LocalFolders
from schemas.hidden import redacted
from schemas.settings import Settings, SettingsError

_told: list[StoredFolders] = []


def open_folders(address: str, cache: Path, cache_bytes: int) -> StoredFolders:
    """Return the folders below an address: a path, ``file://`` or any other that fsspec opens.

    Raises ``SettingsError`` for one that it cannot open.
    """
    parts = urlsplit(address)
    if not parts.scheme or parts.scheme == "file":
        return LocalFolders(Path(parts.path if parts.scheme else address))
    from artefacts.remote_folders import RemoteFolders  # noqa: PLC0415 (15 MB that a folder does not need)

    try:
        return RemoteFolders(address, cache, cache_bytes)
    except (ImportError, ValueError) as error:  # of a protocol that nobody knows, or whose library is missing
        raise SettingsError(redacted(f"artefacts: {address} cannot be opened: {error}")) from error


def folders_of(settings: Settings) -> StoredFolders:
    """Return the folders of this deployment in the store that the settings name."""
    return open_folders(folders_address(settings), cache_of(settings), settings.artefact_cache_bytes)


def folders_address(settings: Settings) -> str:
    """Return where the folders of this deployment are: each has its own, and removes its own."""
    return f"{settings.artefact_address}/releases/{settings.topic_prefix or '-'}/{settings.deployment}"


def cache_of(settings: Settings) -> Path:
    """Return where folders of a store that is elsewhere are kept on this machine."""
    return settings.data_dir.absolute() / "cache"


def use_store(folders: StoredFolders) -> None:
    """Let ``local`` ask this store, in the whole process."""
    _told[:] = [folders]


def local(name: str) -> Path:
    """Return where a folder of the store lies on this machine; a name that is none of the store is a path.

    Blocks while it is fetched. Raises ``StoredFolderError``.
    """
    if not is_stored(name):
        return Path(name)
    if not _told:
        raise StoredFolderError(f"{name} lies in the store, which this process was not told of")
    return _told[0].local(name)
