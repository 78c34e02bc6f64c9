"""The clock: writes a trigger for every slot of the cron line (UTC), and does nothing else.

The sole home of apscheduler. A slot's dedup_key is its time, so a slot that two processes or a restart
announce again still runs once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from schemas.settings import SettingsError, TrainerSettings
from schemas.training import Trigger


def slot_trigger(slot: datetime) -> Trigger:
    """Return the trigger of a slot: the same for the same slot."""
    name = f"cron:{slot.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    return Trigger(
        trigger_id=name, dedup_key=name, reason="schedule", requested_by="scheduler", requested_at=slot
    )


def crontab(line: str) -> CronTrigger:
    """Return the slots of a crontab line, in UTC. Raises ``SettingsError``."""
    try:
        return CronTrigger.from_crontab(line, timezone=UTC)
    except ValueError as error:
        raise SettingsError(
            f"SEARCHLOOP_CRON={line!r} is no crontab line: {error}; five fields are expected, such as '0 6 "
            "* * *'"
        ) from error


def last_slot(cron: str, now: datetime, grace: timedelta) -> datetime | None:
    """Return the newest slot in ``(now - grace, now]``, or None.

    Raises ``SettingsError`` for a line that is no crontab line.
    """
    rule, found = crontab(cron), None
    slot: datetime | None = rule.get_next_fire_time(None, now - grace + timedelta(microseconds=1))
    while slot is not None and slot <= now:
        found = slot
        slot = rule.get_next_fire_time(slot, slot + timedelta(microseconds=1))
    return found


async def keep_time(
    settings: TrainerSettings, write: Callable[[Trigger], Awaitable[None]], *, catch_up: bool
) -> None:
    """Write the trigger of each slot, for ever.

    Slots missed together are one; those older than the grace are left out. ``catch_up``: begin with a slot
    that passed while no trainer ran.
    """

    async def announce() -> None:
        slot = last_slot(settings.cron, datetime.now(UTC), settings.misfire_grace)
        if slot is not None:
            await write(slot_trigger(slot))

    if catch_up:
        await announce()
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(
        announce,
        crontab(settings.cron),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=max(1, int(settings.misfire_grace.total_seconds())),
    )
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)
