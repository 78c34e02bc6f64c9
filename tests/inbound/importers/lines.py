"""Lines of a file that are at hand, as an import converts them."""

from collections.abc import Iterable, Iterator

from inbound.importers.outcome import Convert, ImportOutcome, convert_numbered


def convert_lines(lines: Iterable[bytes], convert: Convert) -> Iterator[ImportOutcome]:
    """Yield one outcome per JSON line, numbered from 1."""
    return convert_numbered(enumerate(lines, start=1), convert)
