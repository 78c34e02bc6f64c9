"""What the releases of benchmarks of deployment rank by: every part of the score, and a memory of titles.

Each probe is remembered with itself, so it is first by every part, in whatever release answers. Products that
change are remembered too, also when they are deleted: an answer must not return them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from benchmarks.deployment.changing_catalogue import PROBES
from retrieval.query_memory import Taken, remembered_queries, write_memory
from retrieval.ranking import CHARACTERS, COVERAGE, DENSE, DESCRIPTION, MEMORY, PRIOR, WORDS
from retrieval.words import analysis_digest
from schemas.releases import Candidate, Ranking, Release
from schemas.settings import TrainerSettings

COEFFICIENTS: Mapping[str, float] = {
    DENSE: 1.0,
    WORDS: 0.5,
    COVERAGE: 0.5,
    DESCRIPTION: 0.5,
    CHARACTERS: 0.5,
    MEMORY: 0.5,
    PRIOR: 0.1,
}
OTHERS = 100
_MUCH = 50.0

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]


def ranked(folder: Path, sha256: str, encode: Encode, others: int, rng: Random) -> Ranking:
    """Write a memory by the model of this digest into ``folder``; return the ranking that weighs every part.

    ``encode``: its unit rows of queries. ``others``: how many products change; each draw of ``rng`` remembers
    a hundred of them, so that no two rankings are alike.
    """
    language = TrainerSettings().language
    taken = [Taken(title, f"probe{number:03d}", _MUCH) for number, title in enumerate(PROBES)]
    drawn = rng.sample(range(others), min(others, OTHERS))
    taken += [Taken(f"type {number}", f"p{number:05d}", 0.5 + rng.random()) for number in drawn]
    queries = remembered_queries(taken)
    digest = write_memory(folder, taken, queries, encode(queries), model_sha256=sha256)
    return Ranking(
        coefficients=dict(COEFFICIENTS),
        artefacts={MEMORY: (str(folder.absolute()), digest)},
        language=language,
        analysis_sha256=analysis_digest(language),
    )


def refresh_of(live: Release, ranking: Ranking) -> Candidate:
    """Return the candidate that lets the live model and collection serve with another ranking."""
    return Candidate(
        kind="refresh", model=live.model, model_sha256=live.model_sha256, dim=live.dim, ranking=ranking
    )


def projection_of(model: Path) -> Vectors | None:
    """Return the last layer (dim, 384) of a rotated model's folder; None for the base model's."""
    path = model / "2_Dense" / "model.safetensors"
    return load_file(path)["linear.weight"] if path.is_file() else None


def turned(base_vectors: Vectors, projection: Vectors | None) -> Vectors:
    """Return unit rows (n, dim) of texts of which the base model says ``base_vectors`` (n, 384)."""
    if projection is None:
        return base_vectors
    raw = base_vectors @ projection.T
    unit: Vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return unit
