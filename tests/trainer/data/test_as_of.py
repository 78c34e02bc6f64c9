"""What coefficients are fitted to was known before it was asked, whatever came afterwards."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Action
from schemas.settings import TrainerSettings
from trainer.data.as_of import PERIODS, asked, asked_by_period, known_before
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.weights import Weighting

WEIGHTING = Weighting.of(TrainerSettings(newcomer_deviations=0.0))
CLIENTS = pl.DataFrame(schema=CLIENT_SCHEMA)
PAIRS = st.tuples(st.sampled_from("abcdef"), st.sampled_from(["p1", "p2"]), st.integers(80, 100))


def rows_of(taken: list[tuple[str, str, int]]) -> pl.DataFrame:
    told = [(q, p, day, Action.PURCHASE.value, 1000, 1, 100) for q, p, day in dict.fromkeys(taken)]
    return pl.DataFrame(told, schema=PAIR_SCHEMA, orient="row").sort("query", "product_id", "day")


@given(st.lists(PAIRS, max_size=40), st.lists(PAIRS, max_size=40), st.integers(80, 101))
def test_what_came_on_the_day_or_later_changes_nothing_of_what_was_known(taken, later, day):
    before = [one for one in taken if one[2] < day]
    found = known_before([day], rows_of(taken + [one for one in later if one[2] >= day]), CLIENTS, WEIGHTING)
    assert found.equals(known_before([day], rows_of(before), CLIENTS, WEIGHTING))
    assert set(found.select("query", "product_id").iter_rows()) == {(q, p) for q, p, _ in before}


@given(st.lists(PAIRS, max_size=60))
def test_each_query_is_asked_before_what_it_earned_and_all_but_the_first_period_is_judged(taken):
    rows = rows_of(taken)
    found = asked_by_period(rows, WEIGHTING.worth, newest_day=100)
    starts = sorted(found["as_of"].unique().to_list())
    assert len(starts) <= PERIODS
    for start, end in zip(starts, [*starts[1:], 999], strict=False):
        own = rows.filter(pl.col("day") >= start, pl.col("day") < end)
        assert found.filter(as_of=start).equals(asked(own, WEIGHTING.worth, as_of=start))
    days = sorted({day for *_, day in taken})
    assert not starts or (starts[0] > days[0]) == (len(days) > 1)
    assert bool(starts) == bool(taken)


def test_credit_is_as_old_as_it_was_then():
    rows = rows_of([("lamp", "p1", 80), ("lamp", "p1", 99)])
    found = known_before([81, 100], rows, CLIENTS, WEIGHTING)
    worth = WEIGHTING.worth.credits_by_pair(rows.filter(pl.col("day") == 80))["credit"].item()
    then, now = found["credit"].to_list()
    assert then == pytest.approx(worth)  # of yesterday, without any decay
    assert worth < now < 2 * worth


def test_nothing_known_and_nothing_asked_have_the_same_columns():
    some = known_before([81], rows_of([("lamp", "p1", 80)]), CLIENTS, WEIGHTING)
    assert known_before([], rows_of([]), CLIENTS, WEIGHTING).schema == some.schema
    assert asked_by_period(rows_of([]), WEIGHTING.worth, newest_day=0).is_empty()


def test_days_that_may_be_sums_are_not_asked_of():
    rows = rows_of([("lamp", "p1", 10), ("lamp", "p1", 11), ("lamp", "p2", 50), ("kettle", "p1", 100)])
    assert asked_by_period(rows, WEIGHTING.worth, newest_day=100)["as_of"].to_list() == [50, 100]
