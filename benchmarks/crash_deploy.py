"""Whether a deployment ends well, without a hand, after kill -9 at every step of it.

Killed are the indexer, a searcher, Milvus or the broker. Real processes; each is started again when it ends.
A step is announced by the log of the process that does it; the kill follows after a random moment, so it also
falls between the steps. Recovered means: everything that ``deployment/crash_audit.py`` asks is so.
"""

import argparse
import asyncio
import logging
import re
import tempfile
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks.deployment.changing_catalogue import PROBES, Catalogue, Churn, a_catalogue
from benchmarks.deployment.crash_audit import disagreement, read, unanswered, unsettled
from benchmarks.deployment.rotated_models import BASE_DIM, Candidates, approval
from benchmarks.deployment.stack import BACKENDS, VICTIMS, DeployStack, open_stack
from benchmarks.harness.report import finish, say
from broker.errors import BrokerError
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.traffic import steady_traffic
from retrieval.index import StoreError, VectorStore
from schemas.releases import DeploymentCommand
from schemas.search import Status
from schemas.settings import Settings
from schemas.topics import CATALOG, DECISIONS, DEPLOYMENT_COMMANDS

# What is killed at: a pattern in the log of the indexer or of the first searcher. "rollback" is sent instead
# of a promotion.
STEPS = {
    "ordered": ("indexer", r"deployment command processed .*outcome=build"),
    "created": ("indexer", r"collection created"),
    "rows": ("indexer", r"building "),
    "flush": ("indexer", r"build step done .*step=flush"),
    "index": ("indexer", r"build step done .*step=build_index"),
    "load": ("indexer", r"build step done .*step=load"),
    "verified": ("indexer", r"verified "),
    "caught_up": ("indexer", r"caught up"),
    "published": ("indexer", r"live generation changed .*cause=promote"),
    "dropped": ("indexer", r"dropping a collection"),
    "served": ("searcher", r"serves .*cause=promote"),
    "rollback": ("indexer", r"live generation changed .*cause=rollback"),
}
MOMENT_S = 0.4
CHANGES_AFTER_S = 1.0
SEARCHES = 6
ENV = {
    "SEARCHLOOP_PARTITIONS": "2", "SEARCHLOOP_RETIRE_GRACE": "PT1S", "SEARCHLOOP_SEARCHER_TIMEOUT": "PT5S",
    "SEARCHLOOP_CATALOG_SETTLE": "PT1S", "SEARCHLOOP_BUILD_BATCH": "32", "SEARCHLOOP_BUILD_PAUSE_MS": "20",
    "SEARCHLOOP_VERIFY_PROBES": "20", "SEARCHLOOP_GUARD_SILENCE": "PT20M",
    "SEARCHLOOP_GUARD_WINDOW": "PT0.001S",
}  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it. ``problem`` None: recovered, ``seconds`` after the kill."""

    step: str
    victim: str
    seconds: float
    problem: str | None


def plan(seed: int, kills: int) -> list[tuple[str, str]]:
    """Return (step, victim) pairs: every pair once before any comes twice, in random order."""
    rng = Random(f"kills:{seed}")
    pairs: list[tuple[str, str]] = []
    while len(pairs) < kills:
        every = [(step, victim) for step in STEPS for victim in VICTIMS]
        rng.shuffle(every)
        pairs += every
    return pairs[:kills]


class Round:
    """Does one deployment, kills in the middle, and looks at the end.

    The catalogue changes until after the kill.
    """

    def __init__(
        self,
        stack: DeployStack,
        settings: Settings,
        shop: Catalogue,
        churn: Churn,
        candidates: Candidates,
        rng: Random,
        patience_s: float,
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._shop = shop
        self._churn = churn
        self._candidates = candidates
        self._rng = rng
        self._patience_s = patience_s

    async def run(self, number: int, step: str, victim: str) -> Kill:
        """Order, wait for the step, kill, and wait until all is well or patience ends."""
        process, pattern = STEPS[step]
        log = self._stack.log_path(process)
        begin = log.stat().st_size if log.exists() else 0
        command = await self._command(number, step)
        quiet = asyncio.Event()
        changing = asyncio.create_task(self._churn.run(quiet))
        async with open_producer(self._settings.kafka, linger_ms=0) as producer:
            await self._send(producer, command)
        await self._announced(log, begin, pattern)
        await asyncio.sleep(self._rng.uniform(0, MOMENT_S))
        self._stack.kill(victim)
        killed = time.monotonic()
        await asyncio.sleep(CHANGES_AFTER_S)
        quiet.set()
        await changing  # what was sent to a broker that was killed is acknowledged by the next one
        problem = await self._settle(command.command_id)
        return Kill(step, victim, round(time.monotonic() - killed, 1), problem)

    async def undisturbed(self) -> None:
        """Deploy once without a kill, so that there is a generation to go back to."""
        command = await self._command(1, "ordered")
        async with open_producer(self._settings.kafka, linger_ms=0) as producer:
            await self._send(producer, command)
        if problem := await self._settle(command.command_id):
            raise SystemExit(f"a deployment does not even succeed without a kill: {problem}")

    async def _send(self, producer: Producer, command: DeploymentCommand) -> None:
        if command.candidate is not None:
            decision = approval(command.candidate, "crash_deploy")
            await producer.send(
                Outgoing(
                    self._settings.topic(DECISIONS.name),
                    decision.to_json(),
                    key=decision.decision_id.encode(),
                )
            )
        await producer.send(
            Outgoing(
                self._settings.topic(DEPLOYMENT_COMMANDS.name),
                command.to_json(),
                key=self._settings.deployment.encode(),
            )
        )

    async def _settle(self, command_id: str) -> str | None:
        """Wait until all is well; return what is not when patience ends."""
        end = time.monotonic() + self._patience_s
        while (problem := await self._problem(command_id)) is not None and time.monotonic() < end:  # noqa: ASYNC110 (other processes fulfil it)
            await asyncio.sleep(0.2)
        return problem

    async def _command(self, number: int, step: str) -> DeploymentCommand:
        common: dict[str, Any] = {
            "command_id": uuid.uuid4().hex,
            "actor": "benchmark",
            "reason": "a crash test",
            "force": True,
        }
        if step == "rollback":
            return DeploymentCommand(action="rollback", **common)
        candidate = await asyncio.to_thread(
            self._candidates.make, self._shop.texts(), dim=BASE_DIM if number % 3 else 256
        )
        return DeploymentCommand(action="promote", candidate=candidate, **common)

    async def _announced(self, log: Path, begin: int, pattern: str) -> None:
        """Wait for the line.

        After a while the kill falls anyway (a step may not come, when an earlier kill left less to do).
        """
        end = time.monotonic() + self._patience_s / 3
        wanted = re.compile(pattern.encode())
        while time.monotonic() < end:
            if wanted.search(_read_from(log, begin)):
                return
            await asyncio.sleep(0.005)
        say(f"no line {pattern!r} in {log.name}")

    async def _problem(self, command_id: str) -> str | None:
        try:
            state = await asyncio.wait_for(read(self._settings), 20)
            if (problem := unsettled(state, command_id)) is not None:
                return problem
            with await asyncio.to_thread(VectorStore, self._stack.milvus.address, deadline_s=5.0) as store:
                if (
                    problem := await asyncio.to_thread(
                        disagreement, self._settings, state, store, self._shop.products
                    )
                ) is not None:
                    return problem
            assert state.pointer is not None
            probes = self._rng.sample(range(len(PROBES)), SEARCHES)
            return await unanswered(
                self._settings, state.pointer.live.generation, {f"probe{i:03d}": PROBES[i] for i in probes}
            )
        except (BrokerError, StoreError, OSError, TimeoutError, LookupError) as error:
            return f"{type(error).__name__}: {error}"


async def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do all rounds under steady traffic; return the fields of the report."""
    shop = a_catalogue(args.products)
    candidates = await asyncio.to_thread(Candidates, folder / "indexer" / "runs", args.seed)
    done: list[Kill] = []
    async with open_stack(folder, ENV, args.backend) as stack:
        settings = Settings(
            kafka=stack.kafka.address, milvus=stack.milvus.address, partitions=2, data_dir=folder
        )
        await ensure_topics(settings)
        async with (
            open_producer(settings.kafka, linger_ms=0) as producer,
            open_requester(settings.kafka, settings.topic("search-responses")) as requester,
        ):
            topic = settings.topic(CATALOG.name)
            await producer.send_all(
                Outgoing(topic, p.to_json(), key=i.encode()) for i, p in shop.products.items()
            )
            churn = Churn(shop, producer, topic, per_s=args.changes_per_s, seed=args.seed)
            round_ = Round(
                stack, settings, shop, churn, candidates, Random(f"moments:{args.seed}"), args.patience_s
            )
            await _first(settings, args.patience_s)
            await round_.undisturbed()
            async with steady_traffic(requester, settings, list(PROBES), per_second=3) as traffic:
                for number, (step, victim) in enumerate(plan(args.seed, args.kills)):
                    kill = await round_.run(number, step, victim)
                    done.append(kill)
                    say(
                        f"{number + 1}/{args.kills} {victim} at {step}: {kill.problem or 'recovered'} "
                        f"after {kill.seconds} s"
                    )
        restarts = stack.restarts
    ends = [a.response.status.value if a.response else "none" for a in traffic.answers]
    return {
        "kills": len(done),
        "recovered": sum(k.problem is None for k in done),
        "by_step": _figures(done, "step"),
        "by_victim": _figures(done, "victim"),
        "problems": [f"{k.victim} at {k.step}: {k.problem}" for k in done if k.problem],
        "restarts": restarts,
        "searches": {
            "sent": traffic.sent,
            "ok": ends.count(Status.OK.value),
            **{e: ends.count(e) for e in sorted(set(ends)) if e != "ok"},
        },
    }


async def _first(settings: Settings, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while (await read(settings)).pointer is None:
        if time.monotonic() > end:
            raise SystemExit("the first generation did not appear")
        await asyncio.sleep(0.2)


def _read_from(log: Path, begin: int) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(begin)
        return file.read()


def _figures(kills: list[Kill], field: str) -> dict[str, dict[str, float]]:
    parts: dict[str, list[Kill]] = defaultdict(list)
    for kill in kills:
        parts[getattr(kill, field)].append(kill)
    return {
        name: {
            "kills": len(part),
            "recovered": sum(k.problem is None for k in part),
            "median_s": median(k.seconds for k in part),
            "longest_s": max(k.seconds for k in part),
        }
        for name, part in sorted(parts.items())
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--backend", choices=BACKENDS, default="lite")
    parser.add_argument("--products", type=int, default=200, help="products that change, beside 48 probes")
    parser.add_argument("--changes-per-s", type=float, default=20.0)
    parser.add_argument(
        "--patience-s",
        type=float,
        default=180.0,
        help="how long a recovery may take before it counts as none",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="keep the logs in this folder")
    args = parser.parse_args()
    # It tells of every try to reach a broker that we have killed
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-crash-") as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        facts = asyncio.run(run(args, folder))
    ok = facts["recovered"] == facts["kills"] == args.kills
    return finish("crash_deploy", seed=args.seed, started=started, ok=ok, **facts)


if __name__ == "__main__":
    raise SystemExit(main())
