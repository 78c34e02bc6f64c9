"""What came late: credit on days that an earlier run had seen whole counts from a week later on."""

from pathlib import Path

import polars as pl
import pytest

from schemas.events import Action
from schemas.settings import TrainerSettings
from tests.trainer.builders import a_pair
from trainer.data.arrival import Earlier, in_time
from trainer.data.snapshot import frames

NEWEST = 130
SETTLED_DAYS = TrainerSettings().settled_days
HONEST = [a_pair(f"q{n}", f"p{n}", dict.fromkeys(range(90 + n, NEWEST + 1), 2)) for n in range(10)]
BURST = a_pair("q0", "spam", dict.fromkeys(range(100, 112), 5), action=Action.PURCHASE)


def rows(pairs) -> pl.DataFrame:
    return frames(pairs, []).pairs


@pytest.fixture
def run(tmp_path: Path):
    def seen(newest_day: int, pairs) -> Earlier:
        path = tmp_path / f"{newest_day}-{len(pairs)}.parquet"
        rows(pairs).filter(pl.col("day") <= newest_day).write_parquet(path)
        return Earlier(newest_day, path)

    return seen


def kept(pairs, earlier, *, settled_days=SETTLED_DAYS) -> pl.DataFrame:
    return in_time(rows(pairs), earlier, newest_day=NEWEST, settled_days=settled_days)


def test_a_burst_dated_back_to_days_that_a_run_has_seen_does_not_count_yet(run):
    assert kept([*HONEST, BURST], [run(129, HONEST)]).equals(rows(HONEST))


def test_a_week_after_it_came_it_counts(run):
    both = [*HONEST, BURST]
    assert kept(both, [run(110, HONEST), run(123, both), run(129, both)]).equals(rows(both))
    # Seen by a run that judges its own days
    assert kept(both, [run(124, both)]).filter(product_id="spam").height
    assert kept(both, [run(124, HONEST), run(129, both)]).equals(rows(HONEST))


def test_what_comes_in_time_counts_and_so_do_days_that_no_run_saw_settled(run):
    fresh = a_pair("q0", "new", dict.fromkeys((128, 129, 130), 3))
    assert kept([*HONEST, fresh], [run(115, HONEST), run(129, HONEST)]).equals(rows([*HONEST, fresh]))


def test_a_day_is_judged_by_the_first_run_that_saw_it_settled(run):
    late = [*HONEST[1:], a_pair("q0", "p0", {**dict.fromkeys(range(90, NEWEST + 1), 2), 125: 9})]
    found = kept(late, [run(122, HONEST), run(128, HONEST), run(129, late)])
    assert found.filter(query="q0", day=125).select("credit", "units").rows() == [(2000, 2)]


def test_what_is_taken_back_late_stays_taken_back(run):
    returned = a_pair("q0", "p0", {100: -2}, action=Action.REFUND)
    assert kept([*HONEST, returned], [run(129, HONEST)]).equals(rows([*HONEST, returned]))


def test_an_imported_history_counts_at_once(run):
    imported = [a_pair(f"old{n}", f"p{n}", dict.fromkeys(range(90, 112), 2)) for n in range(10)]
    assert kept([*HONEST, *imported], [run(129, HONEST)]).equals(rows([*HONEST, *imported]))


def test_without_an_earlier_run_or_when_turned_off_all_counts(run):
    both = [*HONEST, BURST]
    assert kept(both, []).equals(rows(both))
    assert kept(both, [run(NEWEST, HONEST)]).equals(rows(both))
    assert kept(both, [run(129, HONEST)], settled_days=0).equals(rows(both))
    assert in_time(rows([]), [run(129, HONEST)], newest_day=NEWEST, settled_days=SETTLED_DAYS).is_empty()
