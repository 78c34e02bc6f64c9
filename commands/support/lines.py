"""The lines of a file, whatever is in it: plain or gzip (by its first bytes), or ``-`` for stdin.

A line that cannot be read ends as a rejection with its number, and the next one is read. Damage of the file
itself ends it, as its last line. Memory does not depend on the length of a line, nor on what a small file
decompresses to.
"""

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from commands.support.session import stop
from schemas.bounds import LINE_BYTES
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

_GZIP = b"\x1f\x8b"


def ensure_readable(file: str) -> None:
    """Stop with exit code 2 unless ``file`` can be opened."""
    if file == "-":
        return
    if not Path(file).exists():
        stop(f"file {file!r} does not exist", code=2)
    if Path(file).is_dir() or not os.access(file, os.R_OK):
        stop(f"{file!r} is not a file that can be read", code=2)


def numbered_lines(file: str) -> Iterator[tuple[int, bytes | Rejection]]:
    """Yield the lines that are not blank with their numbers in the file, which begin at 1."""
    return ((number, line) for number, line in enumerate(read_lines(file), start=1) if line)


def read_lines(file: str) -> Iterator[bytes | Rejection]:
    """Yield every line without the blanks around it, so that a blank one is empty.

    Raises ``OSError`` for a file that cannot be opened.
    """
    with _opened(file) as plain, _unpacked(plain, packed=file.endswith(".gz")) as source:
        while True:
            try:
                line = _next_line(source)
            except (EOFError, zlib.error, OSError) as error:
                yield refuse(
                    Reason.UNDECODABLE_TEXT, message=f"the file is damaged or ends too early: {error}"
                )
                return
            if line is None:
                return
            yield line


def _next_line(source: IO[bytes]) -> bytes | Rejection | None:
    """Return the next line without its end and the blanks around it; None at the end of the file."""
    line = source.readline(LINE_BYTES + 1)
    if not line:
        return None
    if len(line) <= LINE_BYTES or line.endswith(b"\n"):
        return line.strip()
    while (rest := source.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
    return refuse(Reason.TOO_LARGE, message=f"a line of more than {LINE_BYTES} bytes")


def _opened(file: str) -> IO[bytes]:
    return sys.stdin.buffer if file == "-" else Path(file).open("rb")


def _unpacked(plain: IO[bytes], *, packed: bool) -> IO[bytes]:
    packed = packed or cast("BufferedReader", plain).peek(2)[:2] == _GZIP
    return cast("IO[bytes]", gzip.open(plain, "rb")) if packed else plain
