"""The one score of a product for a query: a sum of parts, each weighed by its coefficient in the release.

``dense`` is the cosine; every other part has a source, which names its best candidates (prior and ranker name
none) and values any product: at least 0, and 0 where it knows nothing; the ranker is told by the others. All
candidates compete by all parts, so a score depends on the query and the product alone, and not on which
source found it, on k, or on a filter. Serving and evaluation both rank by this. It knows no Milvus and no
Kafka.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.releases import Ranking
from schemas.search import Filter

DENSE = "dense"
WORDS = "words"
COVERAGE = "coverage"
DESCRIPTION = "description"
CHARACTERS = "characters"
MEMORY = "memory"
PRIOR = "prior"
RANKER = "ranker"  # learned from the others, and not among ``PARTS``
IDENTIFIER = "identifier"
# What counts the same in every release, wherever its source is there: a query that names a product is
# answered by it, whatever all other parts say, of which none weighs more than 100
FIXED: Mapping[str, float] = {IDENTIFIER: 2000.0}
PARTS = (DENSE, WORDS, COVERAGE, DESCRIPTION, CHARACTERS, MEMORY, PRIOR)
SERVED = (*PARTS, RANKER)  # what a release may weigh
# So many candidates each source names; the prior names none, since it knows nothing of the query
DEPTHS: Mapping[str, int] = {
    DENSE: 30,
    WORDS: 30,
    COVERAGE: 30,
    DESCRIPTION: 30,
    CHARACTERS: 30,
    MEMORY: 30,
    PRIOR: 0,
    IDENTIFIER: 50,
}

Vector = npt.NDArray[np.float32]
Parts = dict[str, dict[str, float]]


class RankingError(ValueError):
    """A ranking names a part that nobody computed."""


class Opinion(Protocol):
    """What a source says of one query.

    One that follows from the values of all other parts also has ``judge``, which takes the complete ``Parts``
    and returns the value of every candidate.
    """

    def best(self, k: int, filters: Sequence[Filter] = ()) -> Mapping[str, float]:
        """Return the value of at most k products that meet the filters, the greatest first."""

    def values(self, product_ids: Iterable[str]) -> Mapping[str, float]:
        """Return the value of these products; one that is left out has 0."""


class Source(Protocol):
    """What one part knows of the catalogue. May be shared by threads."""

    def ask(self, query: str, vector: Vector) -> Opinion:
        """Return what it says of a normalised query, whose vector (dim,) is of the release's encoder."""


@dataclass(frozen=True)
class Contest:
    """One query: the values of the candidates that were named, by part, and who is asked for the rest."""

    parts: Parts
    opinions: Mapping[str, Opinion]

    def candidates(self) -> set[str]:
        """Return the candidates of all parts."""
        return set().union(*self.parts.values())

    def among(self, nearest: Mapping[str, float]) -> "Contest":
        """Return it with the cosine of the products nearest to the query, who compete as well."""
        return Contest(self.parts | {DENSE: dict(nearest)}, self.opinions)

    def complete(self, cosines: Callable[[Sequence[str]], Mapping[str, float]]) -> Parts:
        """Return every part with the value of every candidate.

        A candidate without a cosine is in no index, and leaves the contest. ``cosines`` is asked for those
        that the nearest did not hold.
        """
        known = self.parts[DENSE]
        lacking = sorted(self.candidates() - known.keys())
        cosine = known | dict(cosines(lacking)) if lacking else known
        done: Parts = {DENSE: cosine}
        for name, opinion in sorted(self.opinions.items()):
            own = {i: value for i, value in self.parts[name].items() if i in cosine}
            done[name] = own | dict(opinion.values(cosine.keys() - own.keys()))
        for name, opinion in sorted(self.opinions.items()):
            # Not ``isinstance`` of a protocol, which takes longer than many a part
            if judge := getattr(opinion, "judge", None):
                done[name] = dict(judge(done))
        return done


def weighed(ranking: Ranking) -> list[str]:
    """Return the names of the parts that count, ``dense`` not among them, sorted."""
    return sorted(name for name, weight in ranking.coefficients.items() if weight and name != DENSE)


def trimmed(ranking: Ranking) -> Ranking:
    """Return the ranking without artefacts and words that nothing of it weighs."""
    if not (parts := set(weighed(ranking))):
        return Ranking(coefficients=ranking.coefficients)
    readers = {MEMORY: {MEMORY, PRIOR}}
    used = {name: one for name, one in ranking.artefacts.items() if parts & readers.get(name, {name})}
    return ranking.model_copy(update={"artefacts": used})


def weights(ranking: Ranking, parts: Collection[str]) -> dict[str, float]:
    """Return what each part weighs that counts: by the ranking, and of ``parts`` what counts in all."""
    own = {name: weight for name, weight in ranking.coefficients.items() if weight}
    return own | {name: weight for name, weight in FIXED.items() if name in parts}


def contest(
    query: str,
    vector: Vector,
    nearest: Mapping[str, float],
    sources: Mapping[str, Source],
    ranking: Ranking,
    filters: Sequence[Filter] = (),
) -> Contest:
    """Return the candidates that the source of each part names.

    ``nearest``: the cosine of the products nearest to the query. A fixed part that names nobody is
    left out. A query without text is a picture: all other parts are asked by text or were measured beside
    it, so the cosine alone counts. Raises ``RankingError`` for a weighed part without a source.
    """
    if not query:
        return Contest({DENSE: dict(nearest)}, {})
    missing = sorted(weighed(ranking) - sources.keys())
    if missing:
        raise RankingError(
            f"the ranking weighs {', '.join(missing)}, but only {', '.join([DENSE, *sorted(sources)])} "
            "is there"
        )
    asked = [*weighed(ranking), *(name for name in FIXED if name in sources)]
    opinions = {name: sources[name].ask(query, vector) for name in asked}
    named = {n: dict(own.best(DEPTHS[n], filters)) for n, own in opinions.items() if DEPTHS.get(n)}
    opinions = {name: own for name, own in opinions.items() if name not in FIXED or named.get(name)}
    return Contest({DENSE: dict(nearest)} | {name: named.get(name, {}) for name in opinions}, opinions)


def rank(
    parts: Mapping[str, Mapping[str, float]],
    ranking: Ranking,
    k: int,
    first: Container[str] | None = None,
) -> list[tuple[str, float]]:
    """Return at most k ``(product_id, score)``, best first, a tie by the smaller id.

    Those of ``first``, where it is given, stand before all others.
    Scores are compared to six decimals, so that the noise of a matrix product decides nothing. ``parts`` maps
    the part's name to product to value. A product that a part does not hold counts 0 there;
    all products of all weighted parts compete. A part without a coefficient is ignored; a fixed one that was
    computed counts. Raises
    ``RankingError`` for a weighted part that is missing.

    >>> ranking = Ranking(coefficients={"dense": 1.0, "prior": 0.5})
    >>> rank({"dense": {"a": 0.5, "b": 0.25}, "prior": {"b": 1.0}}, ranking, 2)
    [('b', 0.75), ('a', 0.5)]
    """
    weigh = weights(ranking, parts)
    missing = sorted(weigh.keys() - parts.keys())
    if missing:
        raise RankingError(
            f"the ranking weighs {', '.join(missing)}, but only {', '.join(sorted(parts)) or 'nothing'} "
            "was computed"
        )
    scores: dict[str, float] = {}
    for name in sorted(weigh):
        for product_id, value in parts[name].items():
            scores[product_id] = scores.get(product_id, 0.0) + weigh[name] * value
    order = [
        (first is not None and product_id not in first, -round(score, 6), product_id)
        for product_id, score in scores.items()
    ]
    return [(product_id, scores[product_id]) for _, _, product_id in nsmallest(k, order)]
