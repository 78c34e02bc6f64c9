"""Write what a version writes that was landed and never released: ``landed-NAME`` beside the released ones.

A process of it may stand in one group with those of today, so its records are kept as those of a release are.
In a checkout of that version, with the file of today::

    PYTHONPATH=CHECKOUT python tests/contracts/landed.py NAME
"""

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import schemas
from schemas.settings import TrainerSettings
from schemas.training import Trigger
from tests.contracts.examples import MESSAGES
from tests.contracts.write_fixtures import letter, raw_and_clean, states
from trainer.run.request import Request

HERE = Path(__file__).parent
RUN = "20260301-120000-1a2b3c4d"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def asked() -> Request:
    """Return what a run is asked to do."""
    trigger = Trigger(
        trigger_id="t1",
        requested_by="ann",
        requested_at=AT,
        force=True,
        force_reason="because",
        params={"max_steps": 7},
    )
    settings = TrainerSettings(weight_click=1.0, data_dir=Path("shop"))
    return Request.of(RUN, trigger, settings).model_copy(update={"at": AT})


def main(name: str) -> None:
    """Write both folders."""
    folder, published = (HERE / kind / f"landed-{name}" for kind in ("fixtures", "published"))
    shutil.copytree(Path(schemas.__file__).parent / "json", published, dirs_exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, object] = {type(m).__name__: json.loads(m.to_json()) for m in MESSAGES}
    files |= {"states": states(), "raw": raw_and_clean(), "letter": letter()}
    files |= {"request": json.loads(asked().model_dump_json()), "request_schema": Request.model_json_schema()}
    for stem, value in files.items():
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{stem}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
