"""Which live pointer holds, out of the records of ``releases``, in the order of the log.

``broker.pointer_chain`` decides.
"""

from collections.abc import Iterable

import structlog

from broker.guarding import judged
from broker.pointer_chain import Chain
from broker.records import Record
from searcher.metrics import FOREIGN_POINTERS

log = structlog.get_logger(__name__)


def take_pointers(chain: Chain, records: Iterable[Record], deployment: str) -> None:
    """Bring the chain up to date.

    What cannot be read, or does not follow the pointer that holds, is passed over and counted.
    """
    key = deployment.encode()
    for record in records:
        if (
            record.key == key
            and record.value is not None
            and judged(lambda r: chain.take(r.value or b""), record) is not True
        ):
            FOREIGN_POINTERS.inc()
            log.warning(
                "live pointer ignored: it does not continue the indexer's sequence", offset=record.offset
            )
