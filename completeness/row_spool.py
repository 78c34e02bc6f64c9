"""What examples and comparisons need of each product again, on disk: memory holds eight bytes a product."""

import json
from array import array
from tempfile import TemporaryFile
from types import TracebackType
from typing import NamedTuple, Self


class SpooledRow(NamedTuple):
    """``picture`` is the name by which the picture is looked up; ``start`` that of the description."""

    product_id: str
    title: str
    picture: str
    start: str


class RowSpool:
    """Rows by the number in which they came. The file has no name, so a killed process leaves none."""

    def __init__(self) -> None:
        self._file = TemporaryFile(prefix="searchloop-catalogue-")  # noqa: SIM115 (closed by __exit__)
        self._starts = array("Q")
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, row: SpooledRow) -> None:
        """Keep a row under the next number. Raises ``OSError`` when the disk is full."""
        line = json.dumps(row).encode() + b"\n"
        self._starts.append(self._end)
        self._file.seek(self._end)
        self._end += self._file.write(line)

    def __getitem__(self, number: int) -> SpooledRow:
        self._file.seek(self._starts[number])
        return SpooledRow(*json.loads(self._file.readline()))
