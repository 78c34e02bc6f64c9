"""What a run's verdict rests on, and its page: in its folder on this machine, else in the store."""

from pathlib import Path

from artefacts.folders import Kind, StoredFolderError, is_of
from artefacts.located import local
from schemas.settings import Settings
from schemas.training import REPORT, Decision, TrainingRun
from trainer.run.triggers import is_run_id


def evidence_folder(decision: Decision, settings: Settings) -> Path:
    """Return the folder with the files that a decision names; the run's own where there is none.

    Blocks while it is fetched. Raises ``StoredFolderError``: they are not in the store, or not as they were.
    """
    own = settings.data_dir / "runs" / (decision.run_id or "")
    return own if own.is_dir() else _kept("snapshots", decision.snapshot) or own


def report_page(run: TrainingRun, settings: Settings) -> Path | None:
    """Return the page about a run, None when there is none or it is gone. Blocks while it is fetched."""
    own = settings.data_dir.absolute() / "runs" / run.run_id / REPORT
    if is_run_id(run.run_id) and own.is_file():
        return own
    try:
        kept = _kept("reports", run.report)
    except StoredFolderError:
        return None
    return kept / REPORT if kept else None


def _kept(kind: Kind, name: str | None) -> Path | None:
    return local(name) if name is not None and is_of(kind, name) else None
