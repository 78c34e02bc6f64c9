"""The pictures of a training as a model takes them, decoded once into a file that is mapped into memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from media.images import square_of
from media.pictures import Pictures
from retrieval.document import picture_of

log = structlog.get_logger(__name__)

EVERY = 1000


class Pixels:
    """Squares of the pictures of documents, each picture once. A picture that is not there counts as none.

    ``row[i]``: the square of document i, or -1.
    """

    def __init__(self, documents: Sequence[str], pictures: Pictures, side: int, path: Path) -> None:
        """Decode all into ``path``, 150 kB each at 224 pixels. Raises what the storage raises."""
        keys = [picture_of(document) for document in documents]
        distinct = list(dict.fromkeys(filter(None, keys)))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._squares = np.lib.format.open_memmap(
            path, "w+", dtype=np.uint8, shape=(max(1, len(distinct)), side, side, 3)
        )
        place = dict.fromkeys(["", *distinct], -1)
        for number, key in enumerate(distinct):
            square = square_of(key, pictures, side)
            if square is not None:
                self._squares[number] = square
                place[key] = number
            if number % EVERY == EVERY - 1:
                log.info("pictures decoded", done=number + 1, of=len(distinct))
        if lacking := sum(place[key] < 0 for key in distinct):
            log.warning("prepared pictures are not in the store", pictures=lacking, of=len(distinct))
        self.row = np.array([place[key] for key in keys], dtype=np.int64)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return (n, side, side, 3) of rows that are not -1."""
        return np.asarray(self._squares[rows])
