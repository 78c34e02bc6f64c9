"""Prepared pictures by the content of their originals: each is prepared once, whoever asks."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from media.preparation import is_picture_key, picture_key
from schemas.rejections import Rejection

if TYPE_CHECKING:
    from artefacts.store import ArtefactStore


# Gives the prepared picture of a key, or None: there is none. What its storage raises passes.
Pictures = Callable[[str], bytes | None]


class StorageError(RuntimeError):
    """The storage of pictures does not answer, or not as it should. It may later."""


def stored_pictures(address: str) -> Pictures:
    """Return what reads prepared pictures from the artefact store at an address, by key.

    It returns None for one that is not there, or no key of ours. It opens the store when it is first asked,
    and raises ``StorageError``.
    """
    opened: list[ArtefactStore] = []

    def store() -> "ArtefactStore":
        if not opened:
            from artefacts.store import ArtefactStore  # noqa: PLC0415 (15 MB that shops without pictures save)

            opened.append(ArtefactStore(address))
        return opened[0]

    def read(key: str) -> bytes | None:
        try:
            return store().get(key) if is_picture_key(key) else None
        except Exception as error:  # each storage has faults of its own
            raise StorageError(f"pictures cannot be read: {type(error).__name__}: {error}"[:300]) from error

    return read


async def keep_picture(
    original: bytes, store: "ArtefactStore", prepare: Callable[[bytes], Awaitable[bytes | Rejection]]
) -> str | Rejection:
    """Return the key under which the prepared picture is kept, or why the file is none.

    What is there and whole is not prepared again.
    """
    key = picture_key(hashlib.sha256(original).hexdigest())
    if not await asyncio.to_thread(store.has, key):
        prepared = await prepare(original)
        if isinstance(prepared, Rejection):
            return prepared
        await asyncio.to_thread(store.put, key, prepared)
    return key
