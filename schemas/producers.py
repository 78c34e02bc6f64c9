"""How good the events of each producer are, by day: what ``doctor events`` and the console tell."""

from datetime import date

from schemas.base import ControlTime, Fact


class EventSample(Fact):
    """A record that shows a fault: where it lies, how it begins, and what is wrong with it."""

    topic: str
    partition: int
    offset: int
    value: str
    why: str


class ProducerDay(Fact):
    """The events of one producer on one day, by Kafka's time of their records.

    ``named``: interactions (impressions aside) that name a query id, and ``unnamed`` those that name none. Of
    the named, ``joined`` have their search and are near enough to it, ``stale`` have none, or one that is too
    old; of the rest the search may lie before what was read. ``join_rate``: the joined among the joined,
    the stale and the unnamed; None where there are none. ``without_position``: of the ``clicks``.
    ``refused`` counts dead letters by reason. ``ahead``: events that are timed a minute and more after their
    record; ``delay_median_s`` and ``delay_p95_s``: how long after its event a record was written. ``samples``
    by the name of the fault.
    """

    producer: str
    day: date
    searches: int
    interactions: int
    named: int
    unnamed: int
    joined: int
    stale: int
    join_rate: float | None
    unknown_products: int
    clicks: int
    without_position: int
    refused: dict[str, int]
    ahead: int
    delay_median_s: float | None
    delay_p95_s: float | None
    samples: dict[str, EventSample]


class ProducersFound(Fact):
    """Producers by day, the newest day first; of so many ``records``, as they were read at a time."""

    read_at: ControlTime
    records: int
    producers: list[ProducerDay]
