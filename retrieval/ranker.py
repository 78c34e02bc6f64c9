"""What a sum of parts cannot say of a product, learned by small networks: the part ``ranker`` of a score.

Its value, from -1 to 1, follows from the values of the other parts of the same query and product alone, so it
depends on no k, page, filter or other candidate. The coefficient bounds what it may change, and 0 switches it
off. Training, evaluation and serving read the parts by the one function ``features``. Pure numpy; the
networks are fitted in ``trainer.evaluation.ranker_fit``.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from retrieval.mapped_arrays import ArtefactError, MappedArrays, artefact_folder, write_arrays
from retrieval.ranking import DENSE, RANKER, Parts, weighed
from schemas.releases import Ranking
from schemas.search import Filter

FORMAT = "searchloop-ranker-1"
FEATURES = 1  # rises with every change of what ``features`` returns
FARTHEST = 4.0  # standard deviations from the mean: what lies beyond is unheard of, and counts no more

Values = npt.NDArray[np.float64]


def read_by(ranking: Ranking) -> list[str]:
    """Return the names of the parts that a ranker of this ranking reads, in their order."""
    return [DENSE, *(name for name in weighed(ranking) if name != RANKER)]


def features(parts: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> tuple[list[str], Values]:
    """Return the candidates, sorted, and of each a row of the values of the parts ``names``.

    >>> features({"dense": {"b": 0.5, "a": 0.25}, "words": {"b": 1.0}}, ["dense", "words"])[1].tolist()
    [[0.25, 0.0], [0.5, 1.0]]
    """
    ids = sorted(parts[DENSE])
    return ids, np.array([[parts[name].get(i, 0.0) for name in names] for i in ids]).reshape(-1, len(names))


def features_digest(names: Sequence[str]) -> str:
    """Return the sha256 of what the columns of ``features`` are: a ranker reads those of its training."""
    return hashlib.sha256(f"{FEATURES}/{','.join(names)}".encode()).hexdigest()


@dataclass(frozen=True)
class Networks:
    """Several networks of two hidden layers, which are averaged; ``f`` features, ``h`` and ``g`` units.

    ``means`` and ``scales`` (f,) standardise; ``first`` (n, f, h), ``second`` (n, h, g) and ``last`` (n, g)
    weigh, ``first_bias`` (n, h) and ``second_bias`` (n, g) are added.
    """

    means: Values
    scales: Values
    first: Values
    first_bias: Values
    second: Values
    second_bias: Values
    last: Values

    def values(self, rows: Values) -> Values:
        """Return the value of each row of features, from -1 to 1."""
        told = np.clip((rows - self.means) / self.scales, -FARTHEST, FARTHEST)
        hidden = np.maximum(told @ self.first + self.first_bias[:, None], 0.0)
        deeper = np.maximum(hidden @ self.second + self.second_bias[:, None], 0.0)
        found: Values = np.tanh((deeper @ self.last[:, :, None])[:, :, 0]).mean(axis=0)
        return found

    def fits(self, width: int) -> bool:
        """Say whether the arrays are finite, belong together, and read so many features."""
        count, hidden, more = len(self.first), self.second.shape[1:2], self.second.shape[2:]
        wanted = {
            "means": (width,),
            "scales": (width,),
            "first": (count, width, *hidden),
            "first_bias": (count, *hidden),
            "second": (count, *hidden, *more),
            "second_bias": (count, *more),
            "last": (count, *more),
        }
        arrays: dict[str, Values] = {one.name: getattr(self, one.name) for one in fields(self)}
        whole = count > 0 and all(arrays[name].shape == shape for name, shape in wanted.items())
        return whole and all(np.isfinite(a).all() for a in arrays.values()) and bool((self.scales > 0).all())


class Ranker:
    """An artefact that was written before. Immutable; calls may come from several threads."""

    def __init__(self, networks: Networks, names: Sequence[str]) -> None:
        self._networks, self._names = networks, list(names)

    @classmethod
    def load(cls, ranking: Ranking) -> Self:
        """Read the ranker that a ranking names. Raises ``ArtefactError`` for one that does not fit it."""
        path, digest = ranking.artefacts.get(RANKER, ("", ""))
        found = MappedArrays.open(artefact_folder(path), FORMAT, sha256=digest)
        names = read_by(ranking)
        if found.facts.get("features_sha256") != features_digest(names):
            raise ArtefactError(f"the ranker in {path} reads other features than {', '.join(names)}")
        try:
            networks = Networks(**found.arrays)
            whole = networks.fits(len(names))
        except (TypeError, AttributeError, IndexError) as error:
            raise ArtefactError(f"{path} holds no ranker: {error}") from error
        if not whole:
            raise ArtefactError(f"the arrays of the ranker in {path} do not fit together")
        return cls(networks, names)

    def ask(self, query: str, vector: object) -> "Ranker":  # noqa: ARG002 (the other parts know the query)
        """Return itself: it reads nothing but the other parts."""
        return self

    def best(self, k: int, filters: Sequence[Filter] = ()) -> dict[str, float]:  # noqa: ARG002 (see above)
        """Return nothing: it names no candidates."""
        return {}

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:  # noqa: ARG002 (see above)
        """Return nothing: without the other parts it knows nothing."""
        return {}

    def judge(self, parts: Parts) -> dict[str, float]:
        """Return the value of every candidate."""
        ids, rows = features(parts, self._names)
        return dict(zip(ids, self._networks.values(rows).tolist(), strict=True)) if ids else {}


def copy_ranker(ranking: Ranking, folder: Path) -> Ranking:
    """Return the ranking with its ranker, if it weighs one, in a new folder: so it outlives the old one.

    Raises ``ArtefactError`` for one that is not there or damaged.
    """
    if RANKER not in weighed(ranking):
        return ranking
    path, digest = ranking.artefacts.get(RANKER, ("", ""))
    found = MappedArrays.open(artefact_folder(path), FORMAT, sha256=digest)
    write_arrays(folder, FORMAT, found.arrays, found.facts)
    copied = {RANKER: (str(folder.absolute()), digest)}
    return ranking.model_copy(update={"artefacts": ranking.artefacts | copied})


def write_ranker(folder: Path, networks: Networks, names: Sequence[str]) -> str:
    """Write a ranker that reads the parts ``names`` into a new folder; return its digest."""
    arrays: dict[str, npt.NDArray[Any]] = {one.name: getattr(networks, one.name) for one in fields(networks)}
    return write_arrays(folder, FORMAT, arrays, {"features_sha256": features_digest(names)})
