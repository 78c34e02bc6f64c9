"""A real indexer process and the hands of its operator.

Products in, commands in, the state as the topics tell it.
"""

from collections.abc import Mapping

from broker.reading import read_compacted
from broker.release_log import ReleaseLog
from indexer.state import UNFINISHED, State, state_of
from schemas.products import CatalogProduct
from schemas.releases import DeploymentCommand, Release, ReleaseState
from schemas.topics import CATALOG, DECISIONS, DEPLOYMENT_COMMANDS, RELEASES, dead_letter_name
from schemas.training import Decision
from tests.processes import SearchloopProcess

WORDS = (
    "red running shoes",
    "cordless drill",
    "espresso machine",
    "garden hose",
    "wool blanket",
    "desk lamp",
    "laptop sleeve",
)


def a_product(number: int, version: int = 1, title: str | None = None) -> CatalogProduct:
    name = title or f"{WORDS[number % len(WORDS)]} model {number}"
    return CatalogProduct(
        product_id=f"p{number:04d}",
        title=name,
        brand=f"brand{number % 5}",
        price=10.0 + number,
        version=version,
    )


class IndexerProcess(SearchloopProcess):
    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__("indexer", settings)

    async def put(self, *products: CatalogProduct) -> None:
        await self.send(CATALOG.name, *((p.product_id.encode(), p.to_json()) for p in products))

    async def delete(self, product_id: str) -> None:
        await self.send(CATALOG.name, (product_id.encode(), None))

    async def command(self, command: DeploymentCommand, *, approved: bool = True) -> None:
        """Send a command; where it brings a candidate, with the decision of its run before it."""
        if approved and (new := command.candidate):
            decision = Decision(
                decision_id=f"gate-{command.command_id}",
                run_id=new.run_id,
                verdict="pass",
                candidate_sha256=new.model_sha256,
                actor="trainer",
            )
            await self.send(DECISIONS.name, ((new.run_id or "").encode(), decision.to_json()))
        await self.send(DEPLOYMENT_COMMANDS.name, (b"main", command.to_json()))

    async def state(self) -> State:
        topic = await read_compacted(self.settings, self.settings.topic(RELEASES.name))
        return state_of(ReleaseLog("main", topic.records.values()))

    async def decisions(self) -> list[Decision]:
        values = [r.value for r in await self.records(DECISIONS.name)]
        return [Decision.from_json(value) for value in values if value and value.endswith(b"}")]

    async def dead_letters(self) -> list[bytes]:
        letters = await self.records(dead_letter_name(DEPLOYMENT_COMMANDS.name))
        return [letter.value for letter in letters if letter.value]

    async def live(self, generation: int, *, sequence: int) -> State:
        """Wait until the generation is live by the pointer of this sequence.

        And the records that follow a pointer say the same.
        """

        async def there() -> State | None:
            state = await self.state()
            pointer, release = state.pointer, state.releases.get(generation)
            if (
                not pointer
                or not release
                or (pointer.live.generation, pointer.sequence) != (generation, sequence)
            ):
                return None
            left = (
                state.releases.get(pointer.previous.generation)
                if pointer.previous and pointer.cause == "rollback"
                else None
            )
            followed = (
                release.state != ReleaseState.VERIFIED
                and release.rolled_back is None
                and (left is None or left.rolled_back)
            )
            return state if followed else None

        return await self.until(there)

    async def built_or_failed(self, generation: int) -> Release:
        """Wait until a generation is built or failed, and its collection dropped if it failed."""

        async def over() -> Release | None:
            release = (await self.state()).releases.get(generation)
            return (
                release if release and release.state not in UNFINISHED and not await self.building() else None
            )

        return await self.until(over)

    async def building(self) -> bool:
        return '"building"' in await self.page("readyz")
