"""Prepared pictures by the content of their originals: each is prepared once, whoever asks."""

import hashlib

from artefacts.store import ArtefactStore
from media.images import PREPARATION, prepare
from schemas.rejections import Rejection


def picture_key(original: bytes) -> str:
    """Return the key of the prepared picture of a file.

    The same file has the same key under any name and address, until the preparation changes.

    >>> picture_key(b"")[:37]
    'pictures/1/e3/e3b0c44298fc1c149afbf4c'
    """
    digest = hashlib.sha256(original).hexdigest()
    return f"pictures/{PREPARATION}/{digest[:2]}/{digest}"


def keep_picture(original: bytes, store: ArtefactStore) -> str | Rejection:
    """Return the key under which the prepared picture is kept, or why the file is none.

    What is there and whole is not prepared again.
    """
    key = picture_key(original)
    if not store.has(key):
        prepared = prepare(original)
        if isinstance(prepared, Rejection):
            return prepared
        store.put(key, prepared)
    return key
