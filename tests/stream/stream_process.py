"""A real stream process, and the pairs that it counts."""

from broker.reading import read_compacted
from schemas.pairs import Pair
from schemas.settings import StreamSettings
from tests.processes import SearchloopProcess
from tests.stream.shop import comparable


class StreamProcess(SearchloopProcess):
    def __init__(self, settings: StreamSettings, *arguments: str) -> None:
        super().__init__("stream", settings.environ(), *arguments)

    async def intake(self) -> dict[str, int]:
        """What was read of the interactions, and what became of it; nothing while it is not ready."""
        page = await self.readyz()
        return page.get("intake", {}).get("interactions", {}) if page["ready"] else {}


async def pairs_of(settings: StreamSettings) -> dict[bytes, Pair]:
    stored = await read_compacted(settings, settings.topic("pairs"))
    return comparable({key: Pair.from_json(record.value) for key, record in stored.records.items()})
