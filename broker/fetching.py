"""How long the broker may hold a consumer's fetch open: short while records come, long at rest.

A held fetch is answered at once when a record arrives, so a long wait delays no record; it delays what the
same connection asks next, as the end of a topic. A short wait costs broker and client CPU for as long as
nobody writes.
"""

import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer

REST_MS = 1000
REST_AFTER_S = 5.0


class FetchPace:
    """Sets the wait of a consumer's next fetch, which aiokafka takes only when it is made."""

    def __init__(
        self,
        inner: AIOKafkaConsumer,
        busy_ms: int,
        *,
        rest_after_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._busy_ms = busy_ms
        self._rest_after_s = REST_AFTER_S if rest_after_s is None else rest_after_s
        self._clock = clock
        self._moved = clock()

    def wait_ms(self) -> int:
        """Return how long the next fetch may be held."""
        return (
            self._busy_ms if self._clock() - self._moved < self._rest_after_s else max(REST_MS, self._busy_ms)
        )

    def note(self, *, moved: bool) -> None:
        """Hear after each poll if it brought records, or that something else is asked of the consumer."""
        if moved:
            self._moved = self._clock()
        fetcher = self._inner._fetcher  # noqa: SLF001 (aiokafka takes the wait once, at its start)
        if fetcher is not None:
            fetcher._fetch_max_wait_ms = self.wait_ms()  # noqa: SLF001
