"""Which live pointer holds, out of the records of ``releases``. Order of arrival does not matter, the sequence does."""

from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from broker.guarding import judged
from broker.records import Record
from schemas.releases import LivePointer

log = structlog.get_logger(__name__)


def newest_pointer(records: Sequence[Record], deployment: str, known: LivePointer | None) -> LivePointer | None:
    """Return the newest pointer of the deployment among ``known`` and the records, by sequence. What does not parse is passed over."""
    for record in records:
        if record.key != deployment.encode() or record.value is None:
            continue
        pointer = judged(_read, record)
        if not isinstance(pointer, LivePointer):
            continue
        if known is None or pointer.sequence > known.sequence:
            known = pointer
    return known


def _read(record: Record) -> LivePointer | None:
    try:
        return LivePointer.from_json(record.value or b"")
    except ValidationError as error:
        log.warning("unreadable live pointer", offset=record.offset, problems=error.error_count())
        return None
