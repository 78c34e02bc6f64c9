"""One reference to what serves, changed in one assignment, with a count of who still uses the old one.

A request takes one lease and reads everything from it, so it never sees half of a change. Knows nothing of
what it holds.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class NothingLiveError(LookupError):
    """There is nothing to lease yet."""


class Live(Generic[T]):
    """The reference. Its methods may be called from any thread; ``drained`` from an event loop."""

    def __init__(self) -> None:
        self._current: T | None = None
        self._leases: dict[int, int] = {}
        self._change = threading.Condition()

    @property
    def current(self) -> T | None:
        """What serves now, without a lease: for reports, not for requests."""
        return self._current

    @contextmanager
    def lease(self, other: Callable[[], T | None] | None = None) -> Iterator[T]:
        """Hold what serves now for the length of the block, or what ``other`` returns.

        What is no longer found by ``other`` when somebody waits for it to be ``drained`` is not leased again.
        Raises ``NothingLiveError`` before the first ``swap``, and where there is no other.
        """
        with self._change:
            held = self._current if other is None else other()
            if held is None:
                raise NothingLiveError("nothing serves yet" if other is None else "it is not held open")
            self._leases[id(held)] = self._leases.get(id(held), 0) + 1
        try:
            yield held
        finally:
            with self._change:
                self._leases[id(held)] -= 1
                if not self._leases[id(held)]:
                    del self._leases[id(held)]
                self._change.notify_all()

    def swap(self, new: T) -> T | None:
        """Let ``new`` serve from the next lease on, and return what served before (None at first).

        ``new`` must be ready.
        """
        with self._change:
            old, self._current = self._current, new
            return old

    def leases(self, held: T) -> int:
        """Return how many leases of ``held`` are open."""
        with self._change:
            return self._leases.get(id(held), 0)

    async def drained(self, old: T, timeout_s: float) -> bool:
        """Wait until no lease of ``old`` is open; False when the time is over first.

        Call it after the swap.
        """

        def wait() -> bool:
            with self._change:
                return self._change.wait_for(lambda: id(old) not in self._leases, timeout_s)

        return await asyncio.to_thread(wait)
