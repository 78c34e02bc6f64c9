"""How many test queries a gain needs to be seen: from the spread of the per-query differences. Pure.

For a one-sided test at 95 % the mean's lower bound is above zero with probability ``power`` when n = ((z_95 +
z_power) sd / gain) squared.
"""

from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

# Of the differences in nDCG@10 between successive models, where no run has measured its own
DEFAULT_SD = 0.18
GAINS = (0.005, 0.01, 0.02, 0.05)
POWERS = (0.8, 0.9)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Need:
    """``queries`` test queries show a true ``gain`` with probability ``power``."""

    gain: float
    power: float
    queries: int


def queries_needed(sd: float, gain: float, power: float) -> int:
    """Return how many queries let the lower bound exceed zero with this probability.

    Raises ``ValueError`` for what cannot be asked.

    >>> queries_needed(0.18, 0.02, 0.9)
    694
    """
    if not gain > 0 or not sd > 0 or not 0 < power < 1:
        raise ValueError(
            f"gain and spread must be above 0 and power between 0 and 1, found {gain}, {sd} and {power}"
        )
    normal = NormalDist()
    return ceil(((normal.inv_cdf(CONFIDENCE) + normal.inv_cdf(power)) * sd / gain) ** 2)


def power_at(sd: float, gain: float, queries: int) -> float:
    """Return the probability that a true gain is seen with so many queries."""
    normal = NormalDist()
    return normal.cdf(gain * queries**0.5 / sd - normal.inv_cdf(CONFIDENCE)) if sd > 0 else 1.0


def needs(sd: float, gains: tuple[float, ...] = GAINS) -> list[Need]:
    """Return the table over gains and ``POWERS``."""
    return [Need(gain, power, queries_needed(sd, gain, power)) for gain in gains for power in POWERS]
