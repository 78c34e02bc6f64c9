"""One deployment with a kill in the middle, and whether all is well in the end.

A step is announced by the log of the process that does it; the kill follows after a random moment, so it also
falls between the steps. Recovered means: everything that ``crash_audit`` asks is so.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.deployment.changing_catalogue import PROBES, Catalogue, Churn
from benchmarks.deployment.crash_audit import disagreement, read, unanswered, unsettled
from benchmarks.deployment.rotated_models import BASE_DIM, Candidates, approval
from benchmarks.deployment.stack import VICTIMS, DeployStack
from benchmarks.harness.report import say
from broker.errors import BrokerError
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from retrieval.index import StoreError, VectorStore
from schemas.connections import MilvusConnection
from schemas.releases import DeploymentCommand
from schemas.settings import Settings
from schemas.topics import DECISIONS, DEPLOYMENT_COMMANDS

# What is killed at: a pattern in the log of the indexer or of the first searcher. "rollback" is sent instead
# of a promotion, and refreshes of what serves where the name begins so.
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
    "refresh_ordered": ("indexer", r"deployment command processed .*outcome=refresh"),
    "refresh_published": ("indexer", r"live generation changed .*cause=refresh"),
    "refresh_served": ("searcher", r"serves .*cause=refresh"),
}
MOMENT_S = 0.4
CHANGES_AFTER_S = 1.0
SEARCHES = 6


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it. ``problem`` None: recovered, ``seconds`` after the kill."""

    step: str
    victim: str
    seconds: float
    problem: str | None


def plan(seed: int, kills: int, steps: Sequence[str] = tuple(STEPS)) -> list[tuple[str, str]]:
    """Return (step, victim) pairs: every pair once before any comes twice, in random order."""
    rng = Random(f"kills:{seed}")
    pairs: list[tuple[str, str]] = []
    while len(pairs) < kills:
        every = [(step, victim) for step in steps for victim in VICTIMS]
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
        async with open_producer(self._settings, linger_ms=0) as producer:
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
        async with open_producer(self._settings, linger_ms=0) as producer:
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
        if step.startswith("refresh"):
            pointer = (await read(self._settings)).pointer
            assert pointer is not None
            refresh = await asyncio.to_thread(self._candidates.refresh, pointer.live)
            common["expected_generation"] = pointer.live.generation
            return DeploymentCommand(action="promote", candidate=refresh, **common)
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
            async with asyncio.timeout(20):
                state = await read(self._settings)
            if (problem := unsettled(state, command_id)) is not None:
                return problem
            with await asyncio.to_thread(
                VectorStore, MilvusConnection(milvus=self._stack.milvus.address), deadline_s=5.0
            ) as store:
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


def _read_from(log: Path, begin: int) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(begin)
        return file.read()
