"""Put what a candidate is made of into the store, from where every process fetches it."""

from pathlib import Path

from artefacts.folders import KIND_OF, StoredFolders, name_of
from schemas.releases import Ranking
from schemas.training import Decision

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
