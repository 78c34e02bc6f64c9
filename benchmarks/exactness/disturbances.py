"""What happens to the workers and the broker, in which order, and how it is done.

The seed decides all of it but the exact moment. Every run has, beside the kills, a worker that is stopped
past its session timeout and woken again, one that joins, one that leaves, and a broker that is killed and
comes back.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import Random

from benchmarks.exactness.workers import Workers
from embedded.kafka import EmbeddedKafka

KILL, PAUSE, JOIN, LEAVE, BROKER = "kill", "pause", "join", "leave", "broker"


def plan_faults(seed: int, kills: int) -> list[str]:
    """Return the faults in order."""
    rng = Random(f"faults:{seed}")
    faults = [KILL] * kills + [PAUSE, JOIN, LEAVE, BROKER]
    rng.shuffle(faults)
    first, second = sorted((faults.index(LEAVE), faults.index(JOIN)))
    faults[first], faults[second] = JOIN, LEAVE  # so that somebody is left
    return faults


class Faults:
    """Carries them out."""

    def __init__(
        self, workers: Workers, broker: EmbeddedKafka, rng: Random, session_timeout_s: float
    ) -> None:
        self._workers, self._broker, self._rng = workers, broker, rng
        self._session_timeout_s = session_timeout_s
        self._acts: dict[str, Callable[[], Awaitable[None]]] = {
            KILL: self._kill,
            PAUSE: self._pause,
            JOIN: self._join,
            LEAVE: self._leave,
            BROKER: self._kill_broker,
        }

    async def strike(self, fault: str) -> None:
        """Do it; returns when it is done, not when it is healed."""
        await self._acts[fault]()

    async def _kill(self) -> None:
        self._workers.kill(self._rng.choice(self._workers.running))

    async def _pause(self) -> None:
        worker = self._rng.choice(self._workers.running)
        worker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._session_timeout_s + self._rng.uniform(4, 8))
        worker.process.send_signal(signal.SIGCONT)

    async def _join(self) -> None:
        self._workers.join()

    async def _leave(self) -> None:
        await self._workers.leave(self._rng.choice(self._workers.running))

    async def _kill_broker(self) -> None:
        self._broker.kill()
        await asyncio.sleep(self._rng.uniform(0.2, 2))
        self._broker.start()  # blocks: the thread that starts a child must outlive it
