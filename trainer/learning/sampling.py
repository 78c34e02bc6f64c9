"""In which order pairs are seen: batches of row numbers. Pure: the same seed gives the same batches."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def batches(
    new: Rows,
    old: Rows,
    *,
    steps: int,
    batch_size: int,
    replay_share: float,
    seed: int,
    together: Rows | None = None,
) -> list[Rows]:
    """Return ``steps`` arrays of ``batch_size`` row numbers (fewer when there are fewer rows).

    New ones, and the replay share of old ones. Each kind is passed through in shuffled rounds, so that no row
    is seen a second time before all were seen once. ``together``: the query of each row; rows of one query
    follow each other, so that a batch sees a query with most of its products.
    """
    rng = np.random.default_rng(seed)
    size = min(batch_size, len(new) + len(old))
    n_old = min(round(size * replay_share), size) if len(new) and len(old) else (size if len(old) else 0)
    from_new, from_old = _Rounds(new, rng, together), _Rounds(old, rng, together)
    return [np.concatenate([from_new.take(size - n_old), from_old.take(n_old)]) for _ in range(steps)]


class _Rounds:
    """Endless shuffled rounds over rows."""

    def __init__(self, rows: Rows, rng: np.random.Generator, together: Rows | None) -> None:
        self._rows, self._rng, self._together = rows, rng, together
        self._left: Rows = rows[:0]

    def take(self, count: int) -> Rows:
        """Return the next ``count`` rows.

        Within one call a row may repeat only when there are fewer rows than asked.
        """
        parts: list[Rows] = []
        while count:
            if not len(self._left):
                self._left = self._shuffled()
            parts.append(self._left[:count])
            self._left = self._left[len(parts[-1]) :]
            count -= len(parts[-1])
        return np.concatenate(parts) if parts else self._rows[:0]

    def _shuffled(self) -> Rows:
        rows = self._rng.permutation(self._rows)
        if self._together is None:
            return rows
        _, query = np.unique(self._together[rows], return_inverse=True)
        turn = self._rng.permutation(query.max() + 1)
        return rows[np.argsort(turn[query], kind="stable")]
