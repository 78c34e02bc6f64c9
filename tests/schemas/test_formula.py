"""An operator's arithmetic is read, never run."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.formula import Call, FormulaError, Name, Number, names_in, parse
from schemas.settings import SettingsError, TrainerSettings

NAMES = {"clicks", "revenue"}


def test_precedence_is_that_of_arithmetic():
    assert parse("clicks + 2 * revenue", NAMES) == Call(
        "+", (Name("clicks"), Call("*", (Number(2.0), Name("revenue"))))
    )
    assert parse("(clicks + 2) * revenue", NAMES) == Call(
        "*", (Call("+", (Name("clicks"), Number(2.0))), Name("revenue"))
    )
    assert parse("-clicks", NAMES) == Call("-", (Number(0.0), Name("clicks")))


def test_functions_take_as_many_arguments_as_they_have():
    assert parse("min(log1p(clicks), 3)", NAMES) == Call(
        "min", (Call("log1p", (Name("clicks"),)), Number(3.0))
    )
    with pytest.raises(FormulaError, match=r"log1p at character 1 takes 1 argument\(s\), not 2"):
        parse("log1p(clicks, 2)", NAMES)


def test_the_names_of_a_formula_are_known():
    assert names_in(parse("log1p(revenue) / 3 + revenue", NAMES)) == {"revenue"}
    assert names_in(parse("1 + 1", NAMES)) == set()


def test_an_unknown_name_is_told_with_its_place_and_the_names_there_are():
    with pytest.raises(FormulaError, match="'profit' at character 5 is unknown; there are clicks, revenue"):
        parse("1 + profit", NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "clicks.real", "clicks[0]", "'clicks'", "True", "1j", "1e999",
        "clicks if clicks else 1", "lambda: 1", "[1]", "clicks ** 9", "clicks and 1", "open(clicks)",
        "max(1, *[2])", "min(a=1, b=2)", "(x := 1)", "", "1 +", "\0", "(" * 250 + ")" * 50, "1" * 299 + "+",
        "-" * 300, "clicks " * 100,
    ],
)  # fmt: skip
def test_what_is_not_arithmetic_is_refused(text):
    with pytest.raises(FormulaError):
        parse(text, NAMES)


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_refused(text):
    with suppress(FormulaError):
        assert names_in(parse(text, NAMES)) <= NAMES


def test_a_wrong_formula_stops_the_trainer_before_it_starts():
    with pytest.raises(SettingsError, match="'clikcs' at character 7 is unknown"):
        TrainerSettings.load({"SEARCHLOOP_POPULARITY": "0.1 * clikcs"})
    assert TrainerSettings.load({"SEARCHLOOP_POPULARITY": "log1p(revenue)"}).popularity == "log1p(revenue)"
