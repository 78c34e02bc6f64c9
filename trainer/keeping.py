"""Put what a candidate is made of, and what its verdict rests on, into the store: others fetch it there."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from artefacts.folders import KIND_OF, KINDS_OF_RUNS, StoreAwayError, StoredFolders, key_of, name_of
from schemas.releases import Ranking
from schemas.training import REPORT, Decision
from trainer.run.folder import RunFolder

T = TypeVar("T")
AWAY_S = 600.0  # for so long a store that does not answer is asked again, besides its own tries
AGAIN_S = 5.0
FORGETS = "snapshot and report are not kept: somebody has asked for a shopper to be forgotten"
VECTORS = "vectors.npz"  # in a folder of their own, by the model that they are of


def is_good(decision: Decision) -> bool:
    """Say whether a verdict lets its candidate serve."""
    return decision.verdict in {"pass", "forced"}


def keep_artefacts(ranking: Ranking, folder: Path, store: StoredFolders) -> None:
    """Put the artefacts of a ranking; each lies in ``folder`` under the name of its part."""
    for part, (_, digest) in ranking.artefacts.items():
        if (folder / part).is_dir():  # what was served already is there
            store.put(KIND_OF[part], digest, folder / part)


def vectors_name(model_sha256: str) -> str:
    """Return the name of the catalogue's vectors by a model."""
    return f"{name_of('vectors', model_sha256)}/{VECTORS}"


def evidence_names(evidence: Mapping[str, str], page: bytes) -> dict[str, str]:
    """Return the names, by field of the decision, of what a verdict rests on and of the page about it.

    ``evidence``: the sha256 of each file.
    """
    files = "\n".join(f"{name} {digest}" for name, digest in sorted(evidence.items())).encode()
    return {
        "snapshot": name_of("snapshots", hashlib.sha256(files).hexdigest()),
        "report": name_of("reports", hashlib.sha256(page).hexdigest()),
    }


def keep_evidence(
    run: RunFolder, decision: Decision, store: StoredFolders, forgets: Callable[[], bool]
) -> Decision:
    """Put the files that a decision names as its evidence, and its page; other files of the run stay there.

    Models, vectors and what was trained on are not among them. ``forgets``: whether they may name a shopper
    who is to be forgotten; then neither is there afterwards, and the decision that is returned names none.
    The same where the store stays away. May be repeated.
    """
    if decision.snapshot is None or decision.report is None:
        return decision  # decided by an earlier version, or without it before
    named = {decision.snapshot, decision.report}
    try:
        if not forgets():
            while_away(run, lambda: _put(run, decision, store))
            if not forgets():
                return decision
        now = datetime.now(UTC)
        while_away(run, lambda: store.remove({*store.found()} - named, kinds=KINDS_OF_RUNS, before=now))
        why = FORGETS
    except StoreAwayError as error:
        why = f"snapshot and report are not kept: {error}"
    return decision.model_copy(update={"snapshot": None, "report": None, "reasons": [*decision.reasons, why]})


def while_away(run: RunFolder, work: Callable[[], T]) -> T:
    """Do it, again and again while the store does not answer, which the run's progress then says.

    Raises ``StoreAwayError`` when it stays away.
    """
    began, before = time.monotonic(), run.progress()
    while True:
        try:
            return work()
        except StoreAwayError as error:
            if time.monotonic() - began >= AWAY_S:
                raise
            run.report(before.state, before.progress, f"waiting: {error}")
            time.sleep(AGAIN_S)


def _put(run: RunFolder, decision: Decision, store: StoredFolders) -> None:
    chosen = run.fresh("evidence")
    for name in decision.evidence:
        (chosen / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(run.path / name, chosen / name)
        except OSError:  # a file system without links
            shutil.copyfile(run.path / name, chosen / name)
    store.put("snapshots", _digest_of(decision.snapshot or ""), chosen)
    store.put("reports", _digest_of(decision.report or ""), run.path / REPORT)
    run.absent("evidence")


def _digest_of(name: str) -> str:
    return key_of(name)[0].split("/")[1]
