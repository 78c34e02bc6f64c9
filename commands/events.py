"""``doctor events``: how good each producer's events are, by day, with a sample of each fault.

Reads the newest records of the raw topics and their dead letters; changes nothing.
"""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from commands.support.meter import metered
from commands.support.session import MISUSED, find_settings, out, show_json, stop, table
from inbound.producer_reading import read_producers
from schemas.producers import ProducerDay
from schemas.settings import SettingsError, StreamSettings

_COLUMNS = ("producer", "day", "events", "join rate", "delay s", "faults")


def events(*, days: int, most: int, data_dir: Path | None, as_json: bool) -> None:
    """Print the table, and below it a sample of each fault of each producer's newest day that has it."""
    settings = find_settings(data_dir)
    try:
        rules = StreamSettings.load(dict(os.environ) | settings.environ())
    except SettingsError as error:
        stop(str(error), code=MISUSED)
    with metered("reading what producers sent", "records") as meter:
        found = asyncio.run(
            read_producers(rules, most=most, days=timedelta(days=days), on_read=meter.advance)
        )
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    table(f"producers, by {found.records} records", list(_COLUMNS), [_row(one) for one in found.producers])
    shown: set[tuple[str, str]] = set()
    for one in found.producers:
        for fault, sample in one.samples.items():
            if (one.producer, fault) not in shown:
                shown.add((one.producer, fault))
                place = f"{sample.topic}/{sample.partition}/{sample.offset}"
                out.print(f"{one.producer}, {fault.replace('_', ' ')}: {sample.why}", highlight=False)
                out.print(f"  {place}: {sample.value}", highlight=False, soft_wrap=True)


def _row(one: ProducerDay) -> tuple[object, ...]:
    return (
        one.producer,
        one.day.isoformat(),
        one.searches + one.interactions,
        "" if one.join_rate is None else f"{one.join_rate:.0%}",
        "" if one.delay_median_s is None else f"{one.delay_median_s:.1f}",
        faults_in_words(one),
    )


def faults_in_words(one: ProducerDay) -> str:
    """Return what is wrong with a producer's day, and how often; nothing where nothing is."""
    unknown = f" ({one.unknown_products} for unknown products)" if one.unknown_products else ""
    named = {
        "stale ids": one.stale,
        "without a query id": one.unnamed,
        f"of {one.clicks} clicks without position": one.without_position,
        f"refused{unknown}": sum(one.refused.values()),
        "ahead of their records": one.ahead,
    }
    return ", ".join(f"{count} {what}" for what, count in named.items() if count)
