"""What became of an event, read from the topics when somebody asks, within bounds."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from api.bodies import Capacity, HttpFault
from api.kept_reading import read_by_few
from operations.event_names import event_id_of, event_place, raw_place
from operations.event_reading import ReadBound, event_at, record_at
from operations.fates import read_fate
from schemas.event_fate import EventFate
from schemas.settings import ApiSettings

# Of each kind of topic; `searchloop explain` reads everything.
RECORDS_READ = 20_000
# Events looked for at once.
_READING = 2
# What a shop sent lies on its topic before intake writes what it made of it.
_INTAKE_MS = 3_600_000


class EventFates:
    """Answers from Kafka alone; nothing is kept."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._reading = Capacity(_READING, 0)

    async def named(self, event_id: str, since: datetime | None) -> EventFate | HttpFault | None:
        """Return what became of an event.

        It is looked for among the newest records, or among the first that were written since a time.
        """
        since_ms = None if since is None else int(since.timestamp() * 1000)
        bound = ReadBound(RECORDS_READ, since_ms)
        return await self._within(lambda: read_fate(self._settings, event_id, bound=bound))

    async def at(self, place: str) -> EventFate | HttpFault | None:
        """Return what became of the event at a place of ``events``, or of a raw topic.

        None where none lies there, or the text is no place.
        """
        return await self._within(lambda: self._at(place))

    async def _at(self, place: str) -> EventFate | None:
        raw, clean = raw_place(place), event_place(place)
        record = await record_at(self._settings, *raw) if raw is not None else None
        if record is not None:
            return await read_fate(self._settings, event_id_of(record), bound=ReadBound(RECORDS_READ))
        seen = await event_at(self._settings, clean) if clean is not None else None
        if seen is None:
            return None
        bound = ReadBound(RECORDS_READ, seen.written_ms - _INTAKE_MS)
        return await read_fate(self._settings, seen.event.event_id, bound=bound)

    async def _within(self, read: Callable[[], Awaitable[EventFate | None]]) -> EventFate | HttpFault | None:
        return await read_by_few(self._reading, read, "the topics", instead="searchloop explain")
