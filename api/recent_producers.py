"""How good producers' events were lately, read from the raw topics and their dead letters."""

from datetime import timedelta

from api.kept_reading import KeptReading
from inbound.producer_reading import read_producers
from schemas.producers import ProducersFound
from schemas.settings import ApiSettings

# What is read of each topic while a person waits; `doctor events` reads more.
RECORDS_READ = 5000
DAYS = timedelta(days=7)
RecentProducers = KeptReading[ProducersFound]


def recent_producers(settings: ApiSettings) -> RecentProducers:
    """Return the producers of the newest events."""

    async def read() -> ProducersFound:
        return await read_producers(settings, most=RECORDS_READ, days=DAYS)

    return KeptReading(read, "the newest events")
