"""One change of what serves after the other, beside readers and a catalogue that changes.

And what was lost in the end.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.deployment.changing_catalogue import Catalogue, a_catalogue, differences
from benchmarks.deployment.readers import FIRST, Readers
from benchmarks.deployment.rotated_models import BASE_DIM, Candidates, approval
from broker.producing import Producer
from broker.records import Outgoing
from commands.support.topic_state import read_releases
from operations.command_outcome import other_model
from retrieval.index import Row, VectorStore
from schemas.releases import Candidate, DeploymentCommand, Release
from schemas.settings import SearcherSettings
from schemas.topics import DECISIONS, DEPLOYMENT_COMMANDS
from searcher.follower import Follower

DIMS = (BASE_DIM, BASE_DIM, 256, 256)  # each second change is one of dimension
PROMOTE, REFRESH, ROLLBACK, RESTORE = "promote", "refresh", "rollback", "restore"
# What changes, in turns. A rollback undoes what was before it, a refresh; restore goes back to another model.
TURNS = (PROMOTE, REFRESH, REFRESH, ROLLBACK, PROMOTE, REFRESH, RESTORE, REFRESH)


@dataclass
class SwapFindings:
    """What the changes themselves showed."""

    swaps: int = 0
    refreshes: int = 0
    rollbacks: int = 0
    same_dim: int = 0
    other_dim: int = 0
    build_s: list[float] = field(default_factory=list)
    refresh_s: list[float] = field(default_factory=list)
    rollback_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class ServingShop:
    """One stack and the searcher's parts around it; drives the changes."""

    def __init__(
        self, settings: SearcherSettings, producer: Producer, follower: Follower, args: argparse.Namespace
    ) -> None:
        self.settings = settings
        self.producer = producer
        self.follower = follower
        self.catalogue: Catalogue = a_catalogue(args.products)
        self._candidates = Candidates(settings.data_dir / "runs", args.seed, others=args.products)

    def candidate(self) -> Candidate:
        """Write the next model and its vectors of the catalogue."""
        return self._candidates.make(self.catalogue.texts(), dim=DIMS[self._candidates.made % len(DIMS)])

    def refresh(self, live: Release) -> Candidate:
        """Write another memory for what serves."""
        return self._candidates.refresh(live)

    async def command(self, action: str, **fields: Any) -> None:
        """Send a deployment command."""
        command = DeploymentCommand(
            command_id=uuid.uuid4().hex,
            action=action,
            actor="swap",
            reason="benchmark",
            force=True,  # what was rolled back serves again, and is refreshed again
            **fields,
        )
        topic = self.settings.topic(DEPLOYMENT_COMMANDS.name)
        if command.candidate is not None:
            decision = approval(command.candidate, "swap")
            await self.producer.send(
                Outgoing(
                    self.settings.topic(DECISIONS.name), decision.to_json(), key=decision.decision_id.encode()
                )
            )
        await self.producer.send(Outgoing(topic, command.to_json(), key=self.settings.deployment.encode()))

    def serves(self) -> tuple[int, int]:
        """Return the generation that this searcher serves, and the pointer's sequence."""
        served = self.follower.served
        return (served.live.generation, served.sequence) if served else (0, 0)


async def change(shop: ServingShop, readers: Readers, found: SwapFindings, turn: str) -> None:
    """Change what serves once, and wait for the first hundred answers after it."""
    _, sequence = shop.serves()
    before = shop.follower.served
    if before is None:
        raise RuntimeError("nothing serves")
    fields: dict[str, Any] = {"expected_generation": before.live.generation}
    if turn == PROMOTE:
        fields["candidate"] = await asyncio.to_thread(shop.candidate)
    elif turn == REFRESH:
        fields["candidate"] = await asyncio.to_thread(shop.refresh, before.live)
    elif turn == RESTORE:
        fields["target_generation"] = other_model(before, (await read_releases(shop.settings))[1])
    started = time.monotonic()
    readers.phase = "building" if turn == PROMOTE else "other"
    await shop.command("rollback" if turn in {ROLLBACK, RESTORE} else "promote", **fields)
    await until(lambda: shop.serves()[1] > sequence, 300, "no new generation serves")
    took = time.monotonic() - started
    readers.phase = "other"
    now = shop.follower.served
    if now is None:
        raise RuntimeError("nothing serves")
    found.swaps += 1
    if turn == PROMOTE:
        found.build_s.append(round(took, 2))
    elif turn == REFRESH:
        found.refreshes += 1
        found.refresh_s.append(round(took, 2))
    else:
        found.rollbacks += 1
        found.rollback_ms.append(round(took * 1000, 1))
    same = now.live.dim == before.live.dim
    found.same_dim += same
    found.other_dim += not same
    await until(
        lambda: readers.served == now.live.generation and readers.since_swap > FIRST,
        300,
        "the readers stand still",
    )


async def steadily(readers: Readers, at_least_s: float) -> None:
    """Let the readers search while nothing else goes on, for at least so long and a hundred searches."""
    end, before = time.monotonic() + at_least_s, len(readers.ours.took_ms["steady"])
    readers.phase = "steady"
    await until(
        lambda: time.monotonic() > end and len(readers.ours.took_ms["steady"]) >= before + FIRST,
        300,
        "the readers stand still",
    )
    readers.phase = "other"


async def until(condition: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Wait. Raises ``RuntimeError`` with the sentence at the deadline."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{otherwise} within {within_s:.0f} s")
        await asyncio.sleep(0.005)


async def lost(shop: ServingShop, store: VectorStore) -> dict[int, int]:
    """Return per generation that holds a collection how many rows are not as the catalogue says.

    For when nothing changes any more.
    """
    end = time.monotonic() + 60
    while True:
        _, releases = await read_releases(shop.settings)
        wrong = {}
        for release in releases:
            if release.state in {"released", "retired"}:
                rows = await asyncio.to_thread(_rows, store, release.collection)
                wrong[release.generation] = differences(
                    shop.catalogue.products, {r.product_id: (r.version, r.title) for r in rows}
                )
        if not any(wrong.values()) or time.monotonic() > end:
            return wrong
        await asyncio.sleep(0.5)


async def unknown(settings: SearcherSettings, named: set[tuple[int | None, str | None]]) -> list[str]:
    """Return what answers named as their generation and collection, and no release is so."""
    _, releases = await read_releases(settings)
    are = {(release.generation, release.collection) for release in releases}
    return sorted(f"generation {g} in {c}" for g, c in named - are)


def _rows(store: VectorStore, name: str) -> list[Row]:
    return store.rows(name, sorted(store.ids(name)))
