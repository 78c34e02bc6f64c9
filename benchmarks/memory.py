"""What the memory of earlier queries costs: time, resident memory, building it, and what an index leaves out.

Queries are words out of product titles, some misspelt; vectors are made up: alike where words are shared.
Every size is built in a process of its own and asked in another one, queries that the memory has and
misspelt ones that it has not. ``exact`` looks for the nearest queries among all of them, in the same run:
what share of its ten best products is found, and by how much their values differ. ``ok``: the same input
gives the same digest, and all values are finite.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.harness.report import data_folder, finish, read_jsonl, say
from benchmarks.serving.made_up_memory import DIM, misspelt, queries_of, taken_after, vectors_of
from retrieval.query_memory import NEAREST, QueryMemory, remembered_queries, write_memory
from schemas.text import normalise_query

ASKED = 400
COMPARED = 4_000_000  # rows that exact search reads, at most: eight queries at least, forty at most
BUDGET_MS = 4.0

Floats = npt.NDArray[np.float32]


def titles_of(products: Path) -> list[list[str]]:
    """Return the words of each title."""
    return [words for row in read_jsonl(products) if (words := normalise_query(str(row["title"])).split())]


def build(args: argparse.Namespace, count: int, folder: Path) -> dict[str, Any]:
    """Build a memory in this process, twice where it is small; say what it took."""
    titles = titles_of(args.products)
    queries = queries_of(titles, count, args.seed)
    pairs = list(taken_after(queries, titles, args.seed))
    vectors = vectors_of(queries, args.seed)
    assert remembered_queries(pairs) == queries
    before, wall, cpu = psutil.Process().memory_info().rss, time.monotonic(), time.process_time()
    digest = write_memory(folder / "memory", pairs, queries, vectors, model_sha256="made up")
    took = {"build_s": time.monotonic() - wall, "build_cpu_s": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # A memory that is there is written again and compared
    again = digest if count > args.again else write_memory(
        folder / "again", reversed(pairs), queries, vectors, model_sha256="made up"
    )  # fmt: skip
    np.save(folder / "vectors.npy", vectors)
    (folder / "queries.json").write_text(json.dumps(queries))
    size = sum(path.stat().st_size for path in (folder / "memory").iterdir())
    return {
        "queries": len(queries),
        "pairs": len(pairs),
        **{name: round(value, 1) for name, value in took.items()},
        "build_peak_mb": round(peak - before / 2**20, 1),
        "disk_mb": round(size / 2**20, 1),
        "digest": digest,
        "deterministic": digest == again,
    }


def ask(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Ask a memory in this process; compare some answers with those by exact search."""
    known: list[str] = json.loads((folder / "queries.json").read_text())
    stored = np.load(folder / "vectors.npy", mmap_mode="r")
    rng = Random(args.seed + 1)
    rows = sorted(rng.sample(range(len(known)), min(ASKED, len(known))))
    asked = [known[row] if n % 2 else misspelt(known[row], rng) for n, row in enumerate(rows)]
    noise = np.random.default_rng(args.seed + 1).standard_normal((len(rows), DIM)) * 0.02
    vectors = np.asarray(stored[rows] + noise * (np.arange(len(rows))[:, None] % 2 == 0), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    before, own = psutil.Process().memory_info().rss, anonymous_mb()
    started = time.perf_counter()
    memory = QueryMemory.load(folder / "memory", contents=False)
    opened = time.perf_counter() - started
    memory.values(asked[:8], vectors[:8])
    found, wall, cpu = [], [], []
    for query, vector in zip(asked, vectors, strict=True):
        at, began = time.perf_counter(), time.thread_time()
        found += memory.values([query], vector[None])
        wall.append(1000 * (time.perf_counter() - at))
        cpu.append(1000 * (time.thread_time() - began))
    after, grown = psutil.Process().memory_info().rss, anonymous_mb() - own
    started = time.perf_counter()
    QueryMemory.load(folder / "memory")
    checked = time.perf_counter() - started
    number = min(40, max(8, COMPARED // max(1, memory.queries)))
    compared = range(0, len(asked), max(1, len(asked) // number))
    exact, took = [], []
    for n in compared:
        at = time.perf_counter()
        exact += memory.exact_values([asked[n]], vectors[n][None])
        took.append(1000 * (time.perf_counter() - at))
    best = [top(values) for values in exact]
    shares = [
        float(np.mean([found[n].get(p, 0.0) >= min(found[n][q] for q in top(found[n])) for p in ten]))
        for n, ten in zip(compared, best, strict=True)
    ]
    away = [
        float(np.mean([abs(found[n].get(p, 0.0) - values[p]) for p in ten]))
        for n, values, ten in zip(compared, exact, best, strict=True)
    ]
    return {
        "p50_ms": percentile(wall, 50), "p99_ms": percentile(wall, 99), "least_ms": round(min(wall), 2),
        "cpu_p50_ms": percentile(cpu, 50), "cpu_p99_ms": percentile(cpu, 99),
        "open_ms": round(1000 * opened, 1), "open_and_check_ms": round(1000 * checked, 1),
        "own_mb": round(grown, 1), "resident_mb": round((after - before) / 2**20, 1),
        "products_per_answer": round(float(np.mean([len(own) for own in found])), 1),
        "exact": {
            "p50_ms": percentile(took, 50),
            "ten_best_found": round(float(np.mean(shares)), 4),
            "values_away": round(float(np.mean(away)), 4),
        },
        "finite": all(np.isfinite(list(values.values())).all() for values in found),
    }  # fmt: skip


def anonymous_mb() -> float:
    """Return what this process holds of its own: no file, so nothing that others may share (Linux)."""
    told = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return int(told.split("Anonymous:")[1].split()[0]) / 1024


def top(values: dict[str, float]) -> list[str]:
    """Return the ten best of an answer."""
    return sorted(values, key=lambda p: (-values[p], p))[:10]


def percentile(values: list[float], share: int) -> float:
    """Round a percentile to hundredths."""
    return round(float(np.percentile(values, share)), 2)


def in_process(args: argparse.Namespace, step: str, count: int, folder: Path) -> dict[str, Any]:
    """Do one step in a fresh process, so that its memory is its own."""
    told = [
        sys.executable, "-m", "benchmarks.memory", "--step", step, "--sizes", str(count),
        "--folder", str(folder), "--seed", str(args.seed),
        "--products", str(args.products), "--again", str(args.again),
    ]  # fmt: skip
    done = subprocess.run(told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"step {step} of {count} queries ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


STEPS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "build": lambda args, folder: build(args, int(args.sizes), folder),
    "ask": ask,
}


def main() -> int:
    """Run the benchmark, or one step of it."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000", help="remembered queries")
    parser.add_argument("--products", type=Path, default=None, help="file with titles, as lines of JSON")
    parser.add_argument("--again", type=int, default=100_000, help="build twice up to so many queries")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", choices=sorted(STEPS), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.products = args.products or data_folder() / "electronics46k_products.jsonl.gz"
    if args.step:
        sys.stdout.write(json.dumps(STEPS[args.step](args, args.folder)) + "\n")
        return 0
    sizes: dict[int, dict[str, Any]] = {}
    for count in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="searchloop-query-memory-") as folder:
            sizes[count] = in_process(args, "build", count, Path(folder))
            say(f"{count} queries built: {sizes[count]}")
            sizes[count] |= in_process(args, "ask", count, Path(folder))
            say(f"{count} queries asked: {sizes[count]}")
    return finish(
        "memory",
        seed=args.seed,
        started=started,
        ok=all(found["deterministic"] and found["finite"] for found in sizes.values()),
        nearest=NEAREST,
        sizes=sizes,
        goals={
            f"p50_{BUDGET_MS:g}_ms_{count}": found["p50_ms"] <= BUDGET_MS
            for count, found in sizes.items()
            if count <= 100_000
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
