"""The attacks that searchloop was found open to, as one bounded run on a stack of its own.

Each held or broken, beside what it did before. After each attack every process must be the one that it was,
and do the next honest piece of work. ``before`` is what the same attack did at commit 2db2691.
`python -m benchmarks.attack`, `--only guard,bombs` (parts of names) or `--list`. What only poisons the data
that is learnt from is measured by ``benchmarks.poison``.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.attacks.control import (
    forged_pointer,
    forged_promotion,
    guard_as_weapon,
    late_command,
    lost_model,
)
from benchmarks.attacks.overload import (
    bombs,
    erasures,
    full_disk,
    hanging_servers,
    heavy_requests,
    promising_connections,
    triggers,
)
from benchmarks.attacks.record_attacks import POISON, Poison
from benchmarks.attacks.target import RunningStack, open_stand
from benchmarks.attacks.tools import forged_replay, forgotten_query
from benchmarks.harness.report import finish, say
from embedded.supervisor import PROCESSES

_LONGEST_S = 900.0


@dataclass(frozen=True)
class Attack:
    """``act`` returns figures and ``held``. ``ends``: processes that it ends on purpose."""

    name: str
    act: Callable[[RunningStack], Awaitable[dict[str, Any]]]
    before: str
    ends: tuple[str, ...] = ()


def _of_record(poison: Poison) -> Attack:
    async def act(stand: RunningStack) -> dict[str, Any]:
        count = await stand.send(poison.records())
        seconds = await stand.goes_on(poison.process)
        return {"held": seconds is not None, "records": count, "goes_on_after_s": seconds}

    return Attack(poison.name, act, poison.before)


ATTACKS: tuple[Attack, ...] = (
    *map(_of_record, POISON),
    Attack(
        "B1 forged promotion",
        forged_promotion,
        "garbage weights live after 35 s; a refusal told the fingerprint",
    ),
    Attack(
        "B2 the guard as a weapon",
        guard_as_weapon,
        "a good generation rolled back after 2 s and 230 searches",
    ),
    Attack(
        "B4 a late command",
        late_command,
        "carried out 13 minutes after the command line had called it refused",
    ),
    Attack(
        "B5 the live model's folder is lost",
        lost_model,
        "3 ends in 140 s, no command obeyed any more",
        ends=("indexer",),
    ),
    Attack(
        "B6 forged pointer",
        forged_pointer,
        "all searches without hits, the operator's rollback without effect",
    ),
    Attack("C1 4,000 erasures of strangers", erasures, "stream silent for 13 minutes, 630 s of CPU"),
    Attack(
        "C2 30,000 triggers",
        triggers,
        "pages silent for more than 30 s, the process out of its group after 4.5 min",
    ),
    Attack("C3 records of zeros", bombs, "stream rose to 3,058 MB, the searcher to 2,305 MB"),
    Attack(
        "C4 connections that promise much",
        promising_connections,
        "0 of 3 honest searches answered, Kafka out of memory",
    ),
    Attack("C5, C9 heavy requests", heavy_requests, "honest searches expired for half a minute"),
    Attack("C6 a full disk", full_disk, "`up` ended, and nothing came back"),
    Attack("C7 servers that hang", hanging_servers, "all four said that they were ready"),
    Attack(
        "D1, D2 forged dead letters",
        forged_replay,
        "a traceback for 30 days; escape sequences in the operator's terminal",
    ),
    Attack("D3 a forgotten shopper's query", forgotten_query, "stayed in `pairs` for ever"),
)


async def judge(stand: RunningStack, attack: Attack) -> dict[str, Any]:
    """Run one attack, and see whether every process is the one that it was and goes on."""
    pids, started = stand.pids(), time.monotonic()
    try:
        async with asyncio.timeout(_LONGEST_S):
            figures = await attack.act(stand)
            stopped = [name for name in PROCESSES if await stand.goes_on(name) is None]
    except Exception as error:  # whatever an attack breaks is a finding, and the others are still to be tried
        figures, stopped = {"held": False, "error": f"{type(error).__name__}: {error}"[:300]}, []
    ended = [name for name, pid in stand.pids().items() if pid != pids[name] and name not in attack.ends]
    held = bool(figures.pop("held")) and not ended and not stopped
    row = {
        "verdict": "held" if held else "broken",
        **figures,
        "seconds_in_all": round(time.monotonic() - started, 1),
    }
    if not held:
        with suppress(Exception):
            await stand.clean()
    say(f"{row['verdict']:6} {attack.name} {'' if held else {**figures, 'ended': ended, 'stopped': stopped}}")
    return {
        **row,
        **({"ended": ended} if ended else {}),
        **({"stopped": stopped} if stopped else {}),
        "before": attack.before,
    }


async def run(attacks: list[Attack], folder: Path, *, products: int, seed: int) -> dict[str, dict[str, Any]]:
    """Start a stack and try the attacks on it, one after the other. Returns a row for each, by its name."""
    async with open_stand(folder, products=products, seed=seed) as stand:
        say("the stack does its work; the attacks begin")
        return {attack.name: await judge(stand, attack) for attack in attacks}


def main() -> int:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("--only", default="", help="parts of names, comma separated")
    parser.add_argument("--list", action="store_true", help="only say what would be tried")
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    parts = [part for part in arguments.only.split(",") if part]
    attacks = [a for a in ATTACKS if not parts or any(part in a.name for part in parts)]
    if arguments.list or not attacks:
        say("\n" + "\n".join(a.name for a in ATTACKS))
        return 0 if arguments.list else 2
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-attack-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(run(attacks, Path(folder), products=arguments.products, seed=arguments.seed))
    broken = [name for name, row in found.items() if row["verdict"] == "broken"]
    held = len(found) - len(broken)
    return finish(
        "attack", seed=arguments.seed, started=started, ok=not broken, held=held, broken=broken, attacks=found
    )


if __name__ == "__main__":
    sys.exit(main())
