"""What is said of the preparation of pictures before one is decoded: its number, its bounds, its keys."""

import re

_KEY = re.compile(r"pictures/[0-9]{1,9}/[0-9a-f]{2}/[0-9a-f]{64}")

# Rises with every change of what comes out for any picture, so also with a Pillow that decodes differently:
# tests/media/test_images.py keeps what comes out. It is part of the key of every prepared picture.
PREPARATION = 1
# The longest side of a prepared picture. Models take squares of 224 to 384.
SIDE = 384
# A file of more bytes is neither fetched nor decoded.
PICTURE_BYTES = 16 * 2**20


def picture_key(sha256: str) -> str:
    """Return the key of the prepared picture of a file, by the sha256 of the file as 64 hex digits.

    The same file has the same key under any name and address, until the preparation changes.

    >>> picture_key("e3b0c442" * 8)[:32]
    'pictures/1/e3/e3b0c442e3b0c442e3'
    """
    return f"pictures/{PREPARATION}/{sha256[:2]}/{sha256}"


def is_picture_key(key: str) -> bool:
    """Say whether a key is one of a prepared picture, of whatever preparation."""
    return _KEY.fullmatch(key) is not None
