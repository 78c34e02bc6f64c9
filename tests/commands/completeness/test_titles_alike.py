"""Titles that are nearly the same are found, others not, and not by comparing all with all."""

import random

import numpy as np
import pytest

from commands.completeness.titles_alike import ALIKE, agreement, alike_titles, same_form, sketches

WORDS = [
    a + b
    for a in ("stor", "lam", "chai", "ket", "run", "blu", "gre", "par")
    for b in ("mer", "pen", "tal", "ick")
]


def made(n: int, seed: int = 1) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(drawn.sample(WORDS, 6)) + f" {drawn.randrange(10**6)}" for _ in range(n)]


def groups_of(titles: list[str], apart=lambda one, other: np.ones(len(one), bool)) -> list[list[int]]:
    forms = [same_form(title) for title in titles]
    found = alike_titles(sketches(forms), np.arange(len(forms)), apart, forms.__getitem__)
    assert found.complete
    return found.groups


def test_one_letter_or_word_more_is_nearly_the_same_and_another_colour_of_a_short_title_is_not() -> None:
    titles = [
        "Lakme Absolute Forever Silk Eye Liner, Black last, 4 ml bottle",
        "Lakme Absolute Forever Silk Eyeliner, Black last, 4 ml bottle",
        "Mug, red",
        "Mug, blue",
        "A kettle",
    ]
    assert groups_of(titles) == [[0, 1]]


def test_whatever_is_found_is_certain_and_nearly_all_of_it_is_found() -> None:
    titles = made(1500)
    changed = [title.replace("a", "e", 1) for title in titles[:300]]
    found = groups_of(titles + changed)
    pairs = {(group[0], group[1]) for group in found if len(group) == 2}
    wanted = {
        (n, 1500 + n)
        for n, title in enumerate(changed)
        if title != titles[n] and agreement(title, titles[n]) >= ALIKE
    }
    assert len(wanted) > 200
    assert len(wanted & pairs) >= 0.95 * len(wanted)
    assert all(agreement(titles[one], (titles + changed)[other]) >= ALIKE for one, other in pairs)


def test_the_share_of_pairs_that_meet_is_that_of_the_theory() -> None:
    """Bands agree as often as minima of random orders would: else some are missed, or all compared."""
    titles = made(4000, seed=2)
    bands = sketches([same_form(title) for title in titles]).bands
    at_random = (bands[:2000] == bands[2000:]).any(axis=1).mean()
    assert at_random < 0.05
    changed = sketches([same_form(title[:-1]) for title in titles]).bands
    assert (bands == changed).any(axis=1).mean() > 0.97


def test_variants_of_one_group_are_not_compared() -> None:
    titles = [
        "Garden chair with cushions, dark green, 2 pieces",
        "Garden chair with cushion, dark green, 2 pieces",
    ]
    assert groups_of(titles) == [[0, 1]]
    assert groups_of(titles, apart=lambda one, other: np.zeros(len(one), bool)) == []


@pytest.mark.parametrize("titles", [[], [""], ["", "", "a"], ["é" * 5000, "\U0001f600"], ["a", "b"]])
def test_empty_short_and_long_titles_are_no_trouble(titles: list[str]) -> None:
    assert groups_of(titles) == []


def test_an_endless_series_takes_bounded_work(monkeypatch) -> None:
    monkeypatch.setattr("commands.completeness.titles_alike._MOST_PAIRS", 1000)
    forms = [same_form(f"Collector's plate with a painted rose, number {n:06}") for n in range(3000)]
    read = []

    def title_of(row: int) -> str:
        read.append(row)
        return forms[row]

    found = alike_titles(
        sketches(forms), np.arange(len(forms)), lambda one, _: np.ones(len(one), bool), title_of
    )
    assert not found.complete
    assert len(read) <= 2000
    assert sum(map(len, found.groups)) > 100
