"""What each part of a score adds: nDCG@10 of the score less that of the score without the part.

A ranker reads all other parts, so it is left out first: it adds what the whole score has beyond the sum of
the others, and each of the others what that sum loses without it. All compare over the same candidates,
paired by query, with 95 % intervals. Pure; what a part would be worth with other coefficients it does not
know.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from retrieval.ranking import RANKER
from schemas.releases import Ranking
from schemas.training import Score
from trainer.evaluation.bootstrap import Floats, clusters_of, interval, resampled_means
from trainer.evaluation.ranking_metrics import ndcg
from trainer.evaluation.segments import gains_of

TRAINING = "training"  # beside the parts: the candidate less the pretrained model, each as it would be served
ALL, REPEATED, UNSEEN = "all", "repeated", "unseen"
RESAMPLES = 2000

PartGains = dict[str, dict[str, Score]]
Rankings = Sequence[Sequence[str]]


def without_each(ranking: Ranking) -> dict[str, Ranking]:
    """Return by part the ranking without it: without the ranker the sum, without any other less than that.

    >>> fewer = without_each(Ranking(coefficients={"dense": 1.0, "words": 0.5, "prior": 0.0, "ranker": 0.1}))
    >>> {part: sorted(one.coefficients) for part, one in fewer.items()}
    {'ranker': ['dense', 'words'], 'dense': ['words'], 'words': ['dense']}
    """
    summed = {name: weight for name, weight in ranking.coefficients.items() if weight and name != RANKER}
    fewer = {RANKER: Ranking(coefficients=summed)} if ranking.coefficients.get(RANKER) else {}
    for part in sorted(summed):
        fewer[part] = Ranking(coefficients={name: w for name, w in summed.items() if name != part})
    return fewer


def part_gains(
    queries: pl.DataFrame,
    whole: Rankings,
    without: Mapping[str, Rankings],
    base: Rankings | None = None,
    *,
    seed: int,
) -> PartGains:
    """Return by part and group of queries what the part adds.

    ``queries`` has the columns of ``segments.describe``; ``whole``, ``without`` each part (``without_each``)
    and ``base``, the pretrained model, are rankings in its order. ``repeated``: not ``unseen``. A group
    without queries is left out.
    """
    judged = gains_of(queries)

    def scored(ranked: Rankings) -> Floats:
        return np.array([ndcg(list(own), gains) for own, gains in zip(ranked, judged, strict=True)])

    all_of_it = scored(whole)
    summed = scored(without[RANKER]) if RANKER in without else all_of_it
    added = {RANKER: all_of_it - summed} if RANKER in without else {}
    added |= {part: summed - scored(ranked) for part, ranked in without.items() if part != RANKER}
    if base is not None:
        added[TRAINING] = all_of_it - scored(base)
    unseen = queries["unseen"].to_numpy()
    groups = {ALL: np.ones(len(unseen), dtype=bool), REPEATED: ~unseen, UNSEEN: unseen}
    gains: PartGains = {part: {} for part in added}
    for number, (group, rows) in enumerate(groups.items()):
        if not added or not rows.any():
            continue
        values = np.stack([own[rows] for own in added.values()], axis=1)
        clusters = clusters_of(queries.filter(pl.Series(rows))["query"].to_list())
        means = resampled_means(values, resamples=RESAMPLES, seed=seed + number, clusters=clusters)
        for column, part in enumerate(added):
            low, high = interval(means[:, column], 0.025)
            mean = float(values[:, column].mean())
            gains[part][group] = Score(mean=mean, ci_low=low, ci_high=high, n=len(values))
    return gains
