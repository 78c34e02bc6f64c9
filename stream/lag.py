"""Measure every few seconds how many records each step of the stream has still to process, for ``/metrics``.

Groups are measured as a whole: every worker shows the same figures.
"""

import asyncio

from broker.group_lag import open_lag_reader
from schemas.settings import StreamSettings
from schemas.stream_groups import intake_group, learn_group, pictures_group
from schemas.topics import CATALOG, CONTRIBUTIONS, ERASURES, EVENTS, INTERACTIONS, PRODUCTS, SEARCHES
from stream import metrics

INTERVAL_S = 5.0


def steps_of(settings: StreamSettings, halves: tuple[str, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (step, group, short names of its topics) of everything that these halves of the process do."""
    intake = [
        ("intake", intake_group(settings, "products"), (PRODUCTS.name,)),
        ("intake", intake_group(settings, "events"), (SEARCHES.name, INTERACTIONS.name, ERASURES.name)),
    ]
    group = learn_group(settings)
    learn = [("attribute", group, (EVENTS.name,)), ("aggregate", group, (CONTRIBUTIONS.name,))]
    pictures = [("pictures", pictures_group(settings), (CATALOG.name,))]
    return [
        *(pictures if "pictures" in halves else ()),
        *(intake if "intake" in halves else ()),
        *(learn if "learn" in halves else ()),
    ]


async def watch_lag(settings: StreamSettings, halves: tuple[str, ...]) -> None:
    """Keep the gauges up to date until cancelled. While the broker cannot tell, they keep what they had."""
    async with open_lag_reader(settings) as reader:
        while True:
            for step, group, names in steps_of(settings, halves):
                found = await reader.lag(group, [settings.topic(n) for n in names]) or {}
                for topic, records in found.items():
                    metrics.LAG.labels(step, topic.removeprefix(settings.topic_prefix)).set(records)
            await asyncio.sleep(INTERVAL_S)
