"""Prepared pictures by the content of their originals: each is prepared once, whoever asks."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from artefacts.store import ArtefactStore
from media.preparation import picture_key
from schemas.rejections import Rejection


async def keep_picture(
    original: bytes, store: ArtefactStore, prepare: Callable[[bytes], Awaitable[bytes | Rejection]]
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
