"""A file of a picture, prepared as the catalogue's pictures are."""

from pathlib import Path

from commands.support.session import stop
from media.images import prepare
from media.preparation import PICTURE_BYTES
from schemas.rejections import Rejection


def prepared_picture(path: Path) -> bytes:
    """Return the prepared picture of a file of at most ``PICTURE_BYTES``; a searcher leaves it as it is.

    Ends the command with the reason where there is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(PICTURE_BYTES + 1)
    except OSError as error:
        stop(f"{path} cannot be read: {error.strerror}")
    found = prepare(data)
    if isinstance(found, Rejection):
        stop(f"{path}: {found.reason}: {found.problems[0].message}")
    return found
