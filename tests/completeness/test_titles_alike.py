"""Titles that are nearly the same are found, others not, and not by comparing all with all."""

import random

import numpy as np
import pytest

from completeness.titles_alike import (
    ALIKE,
    TitleSketcher,
    TitleSketches,
    alike_titles,
    same_form,
)

WORDS = [
    a + b
    for a in ("stor", "lam", "chai", "ket", "run", "blu", "gre", "par")
    for b in ("mer", "pen", "tal", "ick")
]


def made(n: int, seed: int = 1) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(drawn.sample(WORDS, 6)) + f" {drawn.randrange(10**6)}" for _ in range(n)]


def compared(titles: list[str]) -> tuple[TitleSketcher, list[str], TitleSketches]:
    """Return what has seen the titles, their same form, and their sketches."""
    sketcher, forms = TitleSketcher(), [same_form(title) for title in titles]
    return sketcher, forms, sketcher.sketches(forms)


def groups_of(titles: list[str], apart=lambda one, other: np.ones(len(one), bool)) -> list[list[int]]:
    sketcher, forms, sketched = compared(titles)
    found = alike_titles(
        sketched,
        np.arange(len(forms)),
        apart,
        lambda one, other: sketcher.agreement(forms[one], forms[other]),
    )
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


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Garden Chair, green!", "garden  chair (GREEN)", True),
        ("Learning C++", "Learning C#", False),
        ("Mug 1.5 l", "Mug 15 l", False),
        ("\uff2dug", "Mug", True),
        ("紅茶 100g", "紅茶\u3000100g", True),
        ("Cafe\u0301 cup", "Café cup", True),
        ("!!!", "???", True),
    ],
)
def test_the_same_title_in_another_dress(one: str, other: str, same: bool) -> None:
    assert (same_form(one) == same_form(other)) is same


def test_whatever_is_found_is_certain_and_nearly_all_of_it_is_found() -> None:
    titles = made(1500)
    both = titles + [title.replace("a", "e", 1) for title in titles[:300]]
    sketcher, forms, _ = compared(both)
    pairs = {(group[0], group[1]) for group in groups_of(both) if len(group) == 2}
    wanted = {
        (n, 1500 + n)
        for n in range(300)
        if forms[n] != forms[1500 + n] and sketcher.agreement(forms[n], forms[1500 + n]) >= ALIKE
    }
    assert len(wanted) > 200
    assert len(wanted & pairs) >= 0.95 * len(wanted)
    assert all(sketcher.agreement(forms[one], forms[other]) >= ALIKE for one, other in pairs)


def test_the_share_of_pairs_that_meet_is_that_of_the_theory() -> None:
    """Bands agree as often as minima of random orders would: else some are missed, or all compared."""
    titles = made(4000, seed=2)
    bands = compared(titles)[2].bands
    at_random = (bands[:2000] == bands[2000:]).any(axis=1).mean()
    assert at_random < 0.05
    changed = compared([title[:-1] for title in titles])[2].bands
    assert (bands == changed).any(axis=1).mean() > 0.97


def test_films_on_the_same_kind_of_disc_are_not_the_same() -> None:
    """What nearly all titles have in common says little."""
    films = [
        "Juno",
        "Milk",
        "Rambo",
        "Alien",
        "Rango",
        "Husk",
        "Moon",
        "Legion",
        "Paul",
        "Ghost",
        "Push",
        "Up",
    ]
    titles = [f"{film} - Widescreen Dubbed Subtitle AC3 Dolby - Blu-ray Disc" for film in films]
    assert groups_of([*titles, *made(200), f"{titles[0]}s"]) == [[0, len(films) + 200]]


def test_a_trigram_weighs_the_more_the_rarer_it_is() -> None:
    sketcher, *_ = compared(["red mug", "red lamp", "red chair", "blue chair"])
    assert sketcher.agreement("red mug", "red mug") == pytest.approx(1.0)
    assert sketcher.agreement("red mug", "blue hat") == 0.0
    # Four of their ten trigrams, but the usual ones
    assert 0 < sketcher.agreement("red mug", "red hat") < 0.4


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
    monkeypatch.setattr("completeness.titles_alike._MOST_PAIRS", 1000)
    titles = [f"Collector's plate with a painted rose, number {n:06}" for n in range(3000)]
    sketcher, forms, sketched = compared(titles)
    done = []

    def agreement(one: int, other: int) -> float:
        done.append((one, other))
        return sketcher.agreement(forms[one], forms[other])

    every = np.arange(len(forms))
    found = alike_titles(sketched, every, lambda one, _: np.ones(len(one), bool), agreement)
    assert not found.complete
    assert len(done) == len(set(done)) == 1000
