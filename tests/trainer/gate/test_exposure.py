"""What rankers show, and how far they agree."""

import pytest

from trainer.gate.exposure import exposure_of, overlap


def test_everything_shown_equally_has_no_inequality():
    found = exposure_of([["a", "b"], ["c", "d"]], "abcd", known="abc")
    assert (found.coverage, found.gini, found.new) == (1.0, pytest.approx(0.0), 0.25)


def test_one_product_for_all_is_the_greatest_inequality():
    found = exposure_of([["a"]] * 5, "abcd", known="a")
    assert (found.coverage, found.gini, found.new) == (0.25, pytest.approx(0.75), 0.0)


def test_nothing_shown_gives_zeros():
    assert exposure_of([], "ab", known="a").coverage == exposure_of([[]], "", known="").gini == 0.0


def test_agreement_at_the_top_counts_more():
    whole = list("abcdefghij")
    assert overlap(whole, whole) == pytest.approx(1.0)
    assert overlap(whole, ["x", *whole[1:]]) < overlap(whole, [*whole[:9], "x"]) < 1
    assert overlap([], []) == 1.0
