"""``python -m completeness``: the running shop's catalogue judged in a process of its own, for the console.

Says on stdout, a JSON object a line, how many ``products`` it has read, and at the end the ``report``, or why
there is none (``fault``). It yields to whatever else wants the processor, takes no more than ``MOST_BYTES``
of memory, and ends with its input: with whoever has started it, however that ended.
"""

import asyncio
import json
import os
import resource
import sys
import threading
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
# A container that is over its limit is ended whole, and the API with it
MOST_BYTES = 700 << 20
_NICENESS = 10
_ENDED_FIRST = Path("/proc/self/oom_score_adj")
_EVERY = 512


def main() -> None:
    """Judge, and say so."""
    threading.Thread(target=end_with_input, daemon=True).start()
    give_way()
    try:
        settings, model = Settings.load(os.environ), TrainerSettings.load(os.environ).base_model
        report = asyncio.run(judged(settings, window_of(model)))
    except (BrokerError, MissingTopicError, StorageError, SettingsError, OSError) as error:
        _say(fault=f"{type(error).__name__}: {error}")
    except MemoryError:
        _say(
            fault=f"it takes more than {MOST_BYTES >> 20} MB; `searchloop doctor catalog` takes what it needs"
        )
    else:
        _say(report=report.model_dump(mode="json"))


def end_with_input() -> None:
    """Wait for the end of the input, and end this process."""
    sys.stdin.buffer.read()
    os._exit(1)


def give_way() -> None:
    """Yield the processor, and memory: outside containers Linux ends this process first."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
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
