"""Read ``decisions`` to its end whenever somebody asks, and tell which weights were approved.

Thin; ``approval`` judges.
"""

from pydantic import ValidationError

from broker.guarding import judged
from broker.reading import Reader
from broker.records import Record
from broker.signing import Signing
from indexer.approval import Approvals
from schemas.training import Decision


class Decided:
    """The topic ``decisions`` from its beginning, as far as it was read."""

    def __init__(self, reader: Reader, signing: Signing | None = None) -> None:
        """``signing``: whose signature a decision must carry to approve anything; None: none."""
        self._reader = reader
        self._signing = signing
        self._approvals = Approvals()

    async def to_the_end(self) -> Approvals:
        """Return all approvals that were written before this call."""
        async for record in self._reader.until(await self._reader.end_offsets()):
            if self._signing is not None and not self._signing.holds(record):
                continue
            decision = judged(read_decision, record)
            if isinstance(decision, Decision):
                self._approvals.take(decision)
        return self._approvals


def read_decision(record: Record) -> Decision | None:
    """Return the decision of a record, None where it is none of ours."""
    try:
        return Decision.from_json(record.value or b"")
    except ValidationError:
        return None
