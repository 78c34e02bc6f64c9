"""The paired bootstrap: how far a mean over queries may be off. Pure: the same seed gives the same intervals.

All columns are resampled together, so differences between systems are paired by query. What is drawn is the
cluster: queries of the same words in another order stand or fall together.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_CHUNK_CELLS = 4_000_000


def clusters_of(queries: Sequence[str]) -> Ints:
    """Return the number of each query's cluster, (queries,), from 0 on without gaps.

    >>> clusters_of(["xbox 360", "wii", "360 xbox"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[str, int] = {}
    bags = (" ".join(sorted(set(query.split()))) for query in queries)
    return np.array([numbers.setdefault(bag, len(numbers)) for bag in bags], dtype=np.int64)


def resampled_means(
    values: Floats, *, resamples: int, seed: int, weights: Floats | None = None, clusters: Ints | None = None
) -> Floats:
    """Return (resamples, k) weighted means of rows drawn with replacement, by cluster.

    Drawn from ``values`` (n, k); n must be at least 1. ``weights`` (n, k) default to 1; a weight of 0 leaves
    a row out of a column. A resample that draws no row of a column has the column's own mean there. Without
    ``clusters`` (n,) each row is its own.
    """
    weights = np.ones_like(values) if weights is None else weights
    sums, counts = _by_cluster(values * weights, clusters), _by_cluster(weights, clusters)
    means = np.empty((resamples, values.shape[1]))
    both = np.concatenate([sums, counts], axis=1)
    done = 0
    for times in _draws(len(sums), resamples, seed):
        found = times.astype(np.float64) @ both
        over, under = np.split(found, 2, axis=1)
        whole = counts.sum(axis=0)
        means[done : done + len(times)] = np.divide(
            over,
            under,
            out=np.broadcast_to(sums.sum(axis=0) / np.where(whole > 0, whole, 1), over.shape).copy(),
            where=under > 0,
        )
        done += len(times)
    return means


def interval(means: Floats, tail: float) -> tuple[float, float]:
    """Return the quantiles ``tail`` and ``1 - tail`` of resampled means (resamples,).

    Means closer to zero than rounding noise are zero: two equal systems differ by nothing.
    """
    low, high = np.quantile(np.where(np.abs(means) < 1e-12, 0.0, means), [tail, 1 - tail])
    return float(low), float(high)


def _by_cluster(values: Floats, clusters: Ints | None) -> Floats:
    if clusters is None or len(clusters) == 0 or int(clusters.max()) + 1 == len(clusters):
        return values
    summed = np.zeros((int(clusters.max()) + 1, values.shape[1]))
    np.add.at(summed, clusters, values)
    return summed


@lru_cache(maxsize=2)
def _draws(n: int, resamples: int, seed: int) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return how often each of n rows is drawn in each resample, in chunks of resamples.

    Nearly all counts are below six.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // n)
    parts = []
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, n, (count, n)) + np.arange(count)[:, None] * n
        parts.append(
            np.minimum(np.bincount(drawn.ravel(), minlength=count * n), 255)
            .reshape(count, n)
            .astype(np.uint8)
        )
    return tuple(parts)
