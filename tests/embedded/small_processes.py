"""The small processes that stand where the real ones will."""

import sys
from pathlib import Path

import psutil

SMALL_CHILD = Path(__file__).with_name("small_child.py")


def commands(**modes: str) -> dict[str, list[str]]:
    return {name: [sys.executable, str(SMALL_CHILD), name, mode] for name, mode in modes.items()}


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
