"""The paired bootstrap: how far a mean over queries may be off. Pure: the same seed gives the same intervals.

All columns are resampled together, so differences between systems are paired by query.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_CHUNK_CELLS = 4_000_000


def resampled_means(values: Floats, *, resamples: int, seed: int) -> Floats:
    """Return (resamples, k) means of rows drawn with replacement from ``values`` (n, k); n must be at least 1."""
    n = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    chunk = max(1, _CHUNK_CELLS // n)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, n, (count, n)) + np.arange(count)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        means[start : start + count] = times @ values / n
    return means


def interval(means: Floats, tail: float) -> tuple[float, float]:
    """Return the quantiles ``tail`` and ``1 - tail`` of resampled means (resamples,).

    Means closer to zero than rounding noise are zero: two equal systems differ by nothing.
    """
    low, high = np.quantile(np.where(np.abs(means) < 1e-12, 0.0, means), [tail, 1 - tail])
    return float(low), float(high)
