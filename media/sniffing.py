"""What a file is by its content, and what its bytes say before anything decodes them.

Knows nothing of names, media types or Pillow. Sizes are in pixels.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

# By the first bytes. WEBP has its name after the length of its RIFF container.
_STARTS: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        "JPEG": re.compile(rb"\xff\xd8\xff"),
        "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
        "GIF": re.compile(rb"GIF8[79]a"),
        "WEBP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    }
)
FORMATS = tuple(_STARTS)
# The next marker of a JPEG: in the compressed data 0xff is followed by 0 or by a restart.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_START_OF_SCAN, _START, _END = 0xDA, 0xD8, 0xD9


def format_of(data: bytes) -> str | None:
    """Return which of ``FORMATS`` the content is, or None.

    >>> format_of(b"GIF89a..."), format_of(b"<svg xmlns=...")
    ('GIF', None)
    """
    return next((name for name, start in _STARTS.items() if start.match(data)), None)


def jpeg_scans(data: bytes, *, most: int) -> int:
    """Return how often a JPEG goes over its pixels, counted up to ``most + 1``.

    A progressive picture has about ten scans. A scan of a few bytes costs its decoder a pass over every
    pixel, so that a small file can ask for hours; libjpeg has no limit of its own.
    """
    scans, at = 0, 0
    while scans <= most and (found := _MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        if marker != _START:
            scans += marker == _START_OF_SCAN
            at += int.from_bytes(data[at : at + 2], "big")
    return scans
