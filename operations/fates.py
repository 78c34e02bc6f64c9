"""What became of an event, read from the topics: for the verb and for the console."""

from broker.group_lag import open_lag_reader
from credit.shopper import Rules
from operations.event_reading import OnRead, ReadBound, trace_event
from operations.fate_told import fate_told
from schemas.event_fate import EventFate
from schemas.settings import AttributionRules, StreamSettings
from schemas.stream_groups import intake_group


async def read_fate(
    settings: AttributionRules,
    event_id: str,
    *,
    bound: ReadBound = ReadBound(),  # noqa: B008 (it is frozen)
    on_read: OnRead = lambda _: None,
) -> EventFate:
    """Return what became of the event.

    Settings of the stream also name its client, by their salt. Raises ``BrokerError``, ``MissingTopicError``.
    """
    rules = Rules.without_salt(settings)
    # First, so that of what counts as taken in the topics already hold what came of it.
    async with open_lag_reader(settings) as lags:
        taken_in = await lags.committed(intake_group(settings, "events"))
    trace = await trace_event(settings, event_id, rules, bound=bound, on_read=on_read)
    salt = settings.client_salt if isinstance(settings, StreamSettings) else None
    return fate_told(event_id, trace, settings, taken_in, salt=salt)
