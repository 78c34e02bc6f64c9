"""Ask a generation what was asked lately, without anybody seeing the answers.

Blocks; what they mean is decided by ``shadow``.
"""

import time
from collections.abc import Sequence

from retrieval.encoder import EncodingError
from retrieval.index import StoreError
from retrieval.release import LoadedRelease
from schemas.search import SearchRequest
from searcher.shadow import Replay

TIMEOUT_S = 5.0


def replay(release: LoadedRelease, requests: Sequence[SearchRequest]) -> Replay:
    """Ask the requests one by one, with their filters and depth. Blocks."""
    errors = empty = 0
    took = []
    for request in requests:
        started = time.perf_counter()
        try:
            found = release.find(
                [request.user_query],
                release.embed([request.user_query]),
                request.k + request.offset,
                request.filters,
                timeout_s=TIMEOUT_S,
            )
            empty += not found.hits[0]
            errors += bool(found.left_out)
        except (EncodingError, StoreError):
            errors += 1
        took.append((time.perf_counter() - started) * 1000)
    return Replay(len(requests), errors, empty, sorted(took)[len(took) // 2] if took else 0.0)
