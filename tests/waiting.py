"""Waiting for a condition that something else fulfils, with a deadline that only a hang reaches."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
DEADLINE_S = 240.0


async def until(
    condition: Callable[[], Awaitable[T] | T],
    what: str,
    *,
    pause_s: float = 0.2,
    moving: Callable[[], object] = lambda: None,
) -> T:
    """Wait until the condition is true, and return what it returned.

    Fails after ``DEADLINE_S``, counted anew whenever ``moving`` has another value.
    """
    last, moved = None, time.monotonic()
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if (now := moving()) != last:
            last, moved = now, time.monotonic()
        if time.monotonic() > moved + DEADLINE_S:
            pytest.fail(f"not within {DEADLINE_S:.0f} s: {what}")
        await asyncio.sleep(pause_s)  # between two looks
