"""What every benchmark needs of its surroundings.

The data folder and its files, and how it reports: progress, then one JSON object.
"""

import gzip
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

_LIBRARIES = ("torch", "sentence-transformers", "faust-streaming", "aiokafka", "milvus-lite", "pymilvus")


def data_folder() -> Path:
    """Return the folder of shared benchmark data. Ends the script with a sentence when it is missing."""
    folder = Path(os.environ.get("SEARCHLOOP_BENCH_DATA", "../shared/data"))
    if not folder.is_dir():
        raise SystemExit(f"no benchmark data at {folder}: set SEARCHLOOP_BENCH_DATA to its folder")
    return folder


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def say(text: str) -> None:
    """Show progress on stderr."""
    sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")
    sys.stderr.flush()


def commit() -> str | None:
    """Return the commit that is being measured, with "+" behind it where files differ from it.

    None outside a git checkout.
    """
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def finish(benchmark: str, *, seed: int, started: float, ok: bool, device: str = "cpu", **fields: Any) -> int:
    """Print the report; return the exit code: 0 only if every invariant of the run held."""
    machine = {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "device": device,
    }
    versions = {
        "python": sys.version.split()[0],
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    report = {
        "benchmark": benchmark, "commit": commit(), "seed": seed,
        "duration_s": round(time.monotonic() - started, 1), "machine": machine, "versions": versions,
        "ok": ok, **fields,
    }  # fmt: skip
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    return 0 if ok else 1
