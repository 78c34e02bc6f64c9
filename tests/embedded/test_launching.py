"""What a child gets of us besides its settings."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.launching import child_environ

GIVEN = Path("/sys/kernel/mm/transparent_hugepage/enabled")
WEIGHS = """
held = b"x" * (64 << 20)
print(open("/proc/self/smaps_rollup").read())
"""


@pytest.mark.skipif(
    not GIVEN.exists() or "[never]" in GIVEN.read_text(), reason="this kernel gives no huge pages"
)
@pytest.mark.skipif(
    platform.libc_ver() < ("glibc", "2.35"), reason="this C library asks for none: glibc does from 2.35 on"
)
def test_what_a_child_holds_in_one_piece_lies_in_huge_pages():
    environ = child_environ(os.environ)
    said = subprocess.run(
        [sys.executable, "-c", WEIGHS], env=environ, capture_output=True, text=True, check=True
    )
    huge = re.search(r"AnonHugePages: +(\d+) kB", said.stdout)
    assert huge is not None
    assert int(huge[1]) > 8 << 10
