"""Read the records of ``releases``, and count the pointers of strangers among them."""

from collections.abc import Iterable

import structlog

from broker.records import Record
from broker.release_log import ReleaseLog
from searcher.metrics import FOREIGN_POINTERS

log = structlog.get_logger(__name__)


def take_pointers(releases: ReleaseLog, records: Iterable[Record]) -> None:
    """Bring the pointer up to date; of generations nothing is kept, a searcher learns them from it.

    A pointer that cannot be read, or does not follow the one that holds, is ignored and counted.
    """
    for record in records:
        if releases.is_pointer(record) and releases.take(record) is None and record.value is not None:
            FOREIGN_POINTERS.inc()
            log.warning(
                "live pointer ignored: it does not continue the indexer's sequence", offset=record.offset
            )
