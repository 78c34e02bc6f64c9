"""Waiting for conditions, and the small processes that stand where the real ones will."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

SMALL_CHILD = Path(__file__).with_name("small_child.py")


def commands(**modes: str) -> dict[str, list[str]]:
    return {name: [sys.executable, str(SMALL_CHILD), name, mode] for name, mode in modes.items()}


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], object], what: str, within_s: float = 240.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.02)
