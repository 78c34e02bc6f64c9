"""The click test looks after every search and still errs no more often than it says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.click_test import Clicked, dropped, evidence_of_drop

COUNTS = st.builds(lambda n, share: Clicked(n, round(n * share)), st.integers(0, 100_000), st.floats(0, 1))


@given(COUNTS, COUNTS)
def test_evidence_is_finite_positive_and_none_without_a_drop(before: Clicked, after: Clicked) -> None:
    ratio = evidence_of_drop(before, after)
    assert np.isfinite(ratio)
    assert ratio > 0
    if after.rate >= before.rate:
        assert ratio == 1.0
        assert not dropped(before, after, alpha=0.5)


@given(st.integers(300, 20_000), st.floats(0.1, 0.9))
def test_the_same_drop_weighs_more_with_more_searches(n: int, rate: float) -> None:
    drop = [
        evidence_of_drop(Clicked(m, round(m * rate)), Clicked(m, round(m * rate * 0.5))) for m in (n, 4 * n)
    ]
    assert min(drop[0], 1e200) <= drop[1]


def share_condemned(
    seed: int, before: float, after: float, *, alpha: float, runs: int = 600, n: int = 3000, step: int = 10
) -> float:
    """Look every ``step`` searches.

    Return the share of runs in which the guard would ever have struck, without the size rule.
    """
    rng = np.random.default_rng(seed)
    condemned = 0
    for _ in range(runs):
        base = Clicked(n, int(rng.binomial(n, before)))
        clicks = np.cumsum(rng.random(n) < after)
        condemned += any(
            evidence_of_drop(base, Clicked(i, int(clicks[i - 1]))) >= 1 / alpha
            for i in range(step, n + 1, step)
        )
    return condemned / runs


def test_looking_all_the_time_condemns_an_equal_generation_no_more_often_than_alpha() -> None:
    for rate in (0.05, 0.3):
        assert share_condemned(1, rate, rate, alpha=0.05) <= 0.05


def test_a_fifth_fewer_clicks_are_nearly_always_found() -> None:
    assert share_condemned(2, 0.3, 0.24, alpha=0.01) >= 0.9


def test_a_drop_too_small_to_matter_is_left_alone_however_certain() -> None:
    assert not dropped(Clicked(10**6, 300_000), Clicked(10**6, 285_000), alpha=0.01)
    assert dropped(Clicked(10**6, 300_000), Clicked(10**6, 260_000), alpha=0.01)
