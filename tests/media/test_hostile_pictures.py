import subprocess
import sys

import pytest

from tests.media.hostile_pictures import hostile

# What one process needs for all of the corpus, in MB, its libraries included.
MOST_MB = 500
_MEASURE = """
import sys
from pathlib import Path
from media.images import prepare
def most_mb():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
while (size := int.from_bytes(sys.stdin.buffer.read(8), "big")):
    found = prepare(sys.stdin.buffer.read(size))
    print("" if isinstance(found, bytes) else found.reason.value, most_mb())
"""
CORPUS = list(hostile())


@pytest.fixture(scope="module")
def in_a_process() -> list[tuple[str, int]]:
    """Return what a fresh process says of every file, and the most MB that it has had after it."""
    fed = b"".join(len(h.data).to_bytes(8, "big") + h.data for h in CORPUS if h.data) + bytes(8)
    said = subprocess.run([sys.executable, "-c", _MEASURE], input=fed, capture_output=True, check=True)
    assert not said.stderr
    lines = (line.rsplit(b" ", 1) for line in said.stdout.splitlines())
    return [(reason.decode(), int(mb)) for reason, mb in lines]


def test_every_hostile_file_has_its_reason(in_a_process: list[tuple[str, int]]) -> None:
    expected = [(h.name, h.reason.value if h.reason else "") for h in CORPUS if h.data]
    found = [reason for reason, _ in in_a_process]
    assert list(zip((n for n, _ in expected), found, strict=True)) == expected


def test_memory_stays_bounded_whatever_a_file_says(in_a_process: list[tuple[str, int]]) -> None:
    assert in_a_process[-1][1] < MOST_MB, dict(
        zip((h.name for h in CORPUS if h.data), in_a_process, strict=True)
    )
