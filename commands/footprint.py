"""How much memory the stack of a data directory takes: its servers and processes, by ``runtime.json``, with their children."""

import json
from pathlib import Path

import psutil

_MB = 1 << 20


def rss_mb(data_dir: Path) -> int:
    """Return the resident memory of all processes of the stack, in MiB. Pages that processes share are counted in each."""
    pids = json.loads((data_dir / "runtime.json").read_text())["processes"].values()
    total = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            total += sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
        except psutil.NoSuchProcess:
            continue
    return total // _MB
