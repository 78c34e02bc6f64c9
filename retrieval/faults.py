"""What a call that Milvus did not carry out means: gone, busy, late, or refused. Pure.

Codes are those of Milvus 2 (pkg/util/merr) and gRPC. pymilvus gives its own time-outs, and what it did not
foresee, code 1.
"""

import re

MISSING = frozenset({4, 100})
NOT_LOADED = frozenset({101, 103})
# Not reached, too many requests, rate limit, a clock that lags: later it may work, whatever is asked.
_BUSY = frozenset({2, 8, 11})
_LATE = re.compile(r"time.?out|timed out|deadline|run out of \d+ retry", re.IGNORECASE)
_LATE_STATUS = "DEADLINE_EXCEEDED"


class StoreError(RuntimeError):
    """A call that Milvus did not carry out.

    ``missing``: there is no such collection. ``retryable``: later it may work. ``late``: no answer in time;
    it may still be carried out. ``refused``: Milvus was reached and said no, for a full disk or too little
    memory for instance. What is late or busy is not refused.
    """

    def __init__(
        self,
        message: str,
        *,
        missing: bool = False,
        retryable: bool = False,
        refused: bool = False,
        late: bool = False,
    ) -> None:
        super().__init__(message)
        self.refused = refused
        self.missing = missing
        self.retryable = retryable
        self.late = late


def meaning(code: object, text: str) -> StoreError:
    """Return what a fault means: ``code`` is a number of Milvus or a status of gRPC."""
    number = code if isinstance(code, int) else None
    missing = number in MISSING
    late = not missing and (getattr(code, "name", "") == _LATE_STATUS or _LATE.search(text) is not None)
    refused = number is not None and not late and number not in MISSING | NOT_LOADED | _BUSY
    shown = code if number is None else number
    return StoreError(
        f"Milvus: {text or 'no message'} (code {shown})",
        missing=missing,
        retryable=not missing,
        refused=refused,
        late=late,
    )
