"""Ask for a run when enough pairs have changed since the newest snapshot.

Counts distinct keys of ``pairs``; knows no contents. The trigger's dedup_key is the position at which the
number was reached, so a restarted count does not ask twice.
"""

from datetime import UTC, datetime
from pathlib import Path

from broker.producing import Producer
from broker.reading import open_reader
from broker.records import Outgoing
from schemas.settings import TrainerSettings
from schemas.topics import PAIRS, TRAINING_TRIGGERS
from schemas.training import Trigger
from trainer.data.snapshot import Manifest
from trainer.run.folder import MarkerError, RunFolder


def newest_offsets(runs: Path) -> dict[int, int]:
    """Return the next offset per partition of ``pairs`` after the newest snapshot.

    Empty when there is none.
    """
    for folder in sorted(runs.glob("*"), reverse=True):
        try:
            manifest = RunFolder(folder).find("snapshot", Manifest)
        except MarkerError:
            continue
        if manifest is not None:
            return manifest.offsets.get(PAIRS.name, {})
    return {}


async def watch_volume(settings: TrainerSettings, producer: Producer) -> None:
    """Follow ``pairs`` from the newest snapshot on, for ever.

    Write a trigger per ``volume_pairs`` changed pairs.
    """
    topic = settings.topic(PAIRS.name)
    start = {
        (topic, partition): offset for partition, offset in newest_offsets(settings.data_dir / "runs").items()
    }
    changed: set[bytes] = set()
    async with open_reader(settings, [topic], start=start) as reader:
        while True:
            changed.update(
                record.key for record in await reader.poll(timeout_ms=1000) if record.key is not None
            )
            if len(changed) >= settings.volume_pairs:
                await producer.send(_trigger(settings, sum((await reader.positions()).values())))
                changed.clear()


def _trigger(settings: TrainerSettings, position: int) -> Outgoing:
    name = f"volume:{settings.deployment}:{position}"
    trigger = Trigger(
        trigger_id=name,
        dedup_key=name,
        reason="volume",
        requested_by="trainer",
        requested_at=datetime.now(UTC),
    )
    return Outgoing(
        settings.topic(TRAINING_TRIGGERS.name), trigger.to_json(), key=settings.deployment.encode()
    )
