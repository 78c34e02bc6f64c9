"""``python -m completeness``: the running shop's catalogue judged in a process of its own, for the console.

Says on stdout, a JSON object a line, how many ``products`` it has read, and at the end the ``report``, or why
there is none (``fault``). It yields to whatever else wants the processor.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import BrokerError, MissingTopicError
from completeness.catalogue_tally import CatalogueTally
from completeness.findings import CatalogueReport
from completeness.model_window import ModelWindow
from completeness.row_spool import RowSpool
from completeness.summing_up import summed_up
from completeness.topic_rows import rows_of_topic
from media.pictures import StorageError, stored_pictures
from retrieval.model_folder import ModelError, resolve_model
from schemas.settings import Settings, SettingsError, TrainerSettings

# Most of the time goes into pictures; `doctor catalog` looks at more.
PICTURES_LOOKED_AT = 2000
_NICENESS = 10
_ENDED_FIRST = Path("/proc/self/oom_score_adj")
_EVERY = 512


def main() -> None:
    """Judge, and say so."""
    give_way()
    try:
        settings, model = Settings.load(os.environ), TrainerSettings.load(os.environ).base_model
        report = asyncio.run(judged(settings, window_of(model)))
    except (BrokerError, MissingTopicError, StorageError, SettingsError, OSError) as error:
        _say(fault=f"{type(error).__name__}: {error}")
    else:
        _say(report=report.model_dump(mode="json"))


def give_way() -> None:
    """Yield the processor; where memory is short Linux ends this process, and not the API beside it."""
    os.nice(_NICENESS)
    with suppress(OSError):
        _ENDED_FIRST.write_text("1000")


async def judged(settings: Settings, window: ModelWindow | None) -> CatalogueReport:
    """Return the report of the clean catalogue; tells on stdout how far it is."""
    with RowSpool() as spool:
        tally = CatalogueTally(spool, window=window, most_pictures=PICTURES_LOOKED_AT)
        tally.pictures = stored_pictures(settings.artefact_address)
        async for row in rows_of_topic(settings):
            tally.take(row)
            if len(spool) % _EVERY == 0:
                _say(products=len(spool))
        _say(products=len(spool))
        tally.end()
        source = f"the topic {settings.topic('catalog')}"
        return summed_up(tally, source=source, made_at=datetime.now(UTC))


def window_of(base_model: str) -> ModelWindow | None:
    """Return how much the base model reads; None where it, or what reads it, is not installed here."""
    try:
        return ModelWindow.read(resolve_model(base_model))
    except (ModelError, ImportError, OSError, ValueError):
        return None


def _say(**told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
