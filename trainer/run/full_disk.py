"""Whether a step ended because the disk is full.

Each library says it in its own way, and some only by the process they had started.
"""

import errno
import re

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SAID = re.compile(
    r"no space left on device|disk quota exceeded|os error 28\b|\d+ requested and \d+ written", re.IGNORECASE
)
_NOTHING_LEFT = 4 << 20


def is_full(error: BaseException, free_bytes: int) -> bool:
    """Say whether the error, or what caused it, is a full disk; ``free_bytes`` is what its disk has free now.

    >>> is_full(OSError(28, "No space left on device"), 1 << 30)
    True
    >>> is_full(ValueError("x"), 1 << 30), is_full(ValueError("x"), 4096)
    (False, True)
    """
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or found.__context__
    named = any((isinstance(e, OSError) and e.errno in _FULL) or _SAID.search(str(e)) for e in chain)
    return named or free_bytes < _NOTHING_LEFT
