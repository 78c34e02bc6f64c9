"""Decide, at any moment, whether a generation earns fewer clicks than the one before.

As often as one likes. Pure. A mixture sequential probability ratio test of two proportions (Johari et al.,
"Always Valid Inference", 2015): looking after each search does not raise the chance of a false alarm above
``alpha``. Searches of one shopper resemble each other, which the test does not know, so a drop must also be
of a size that matters.
"""

import math
from dataclasses import dataclass

MIN_SEARCHES = 200
MIN_CLICKS = 20
TAU = 0.05  # how large a difference of rates is expected, if there is one
MATTERS = 0.10  # the least relative drop that is worth a rollback


@dataclass(frozen=True)
class Clicked:
    """Searches that showed something, and how many of them were clicked."""

    searches: int = 0
    clicked: int = 0

    @property
    def rate(self) -> float:
        """Clicked searches per search, 0 without searches."""
        return self.clicked / self.searches if self.searches else 0.0


def evidence_of_drop(before: Clicked, after: Clicked) -> float:
    """Return the likelihood ratio for "the rates differ" against "they are equal".

    1.0 for too little data or no drop. Under equality the chance that it ever reaches 1 / alpha is at most
    alpha.
    """
    if (
        min(before.searches, after.searches) < MIN_SEARCHES
        or before.clicked < MIN_CLICKS
        or after.rate >= before.rate
    ):
        return 1.0
    pooled = (before.clicked + after.clicked) / (before.searches + after.searches)
    variance = pooled * (1 - pooled) * (1 / before.searches + 1 / after.searches)
    difference, prior = after.rate - before.rate, TAU**2
    spread = variance + prior
    return math.sqrt(variance / spread) * math.exp(
        min(700.0, difference**2 * prior / (2 * variance * spread))
    )


def dropped(before: Clicked, after: Clicked, *, alpha: float) -> bool:
    """Say whether clicks fell, beyond chance and by more than ``MATTERS``.

    Monotone in nothing: ask again with more data.
    """
    return after.rate < (1 - MATTERS) * before.rate and evidence_of_drop(before, after) >= 1 / alpha
