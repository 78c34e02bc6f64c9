"""A click log becomes weighted pairs without a look ahead, and gains per week."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import json

import pytest

pytestmark = pytest.mark.model


@pytest.fixture
def log(tmp_path):
    from benchmarks.learning.clicklog import ClickLog

    clicks = [
        ("Halo", "p1", "2011-08-15"),
        ("halo ", "p1", "2011-08-16"),
        ("fifa", "p2", "2011-08-16"),
        ("halo", "p2", "2011-08-23"),
    ]
    clicks += [("halo", "p1", "2011-08-23"), ("halo", "gone", "2011-08-23"), ("new", "p2", "2011-08-30")]
    rows = [
        {
            "query": q,
            "product_id": p,
            "query_time": f"{d}T10:00:00",
            "click_time": f"{d}T10:00:01.2",
            "session": "s",
        }
        for q, p, d in clicks
    ]
    (tmp_path / "clicks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    products = [{"product_id": "p1", "title": "Halo Reach"}, {"product_id": "p2", "title": "FIFA 12"}]
    (tmp_path / "products.jsonl").write_text("".join(json.dumps(row) + "\n" for row in products))
    return ClickLog.read(tmp_path / "clicks.jsonl", tmp_path / "products.jsonl")


def test_only_what_came_before_a_week_is_trained_and_its_newest_week_is_new(log):
    assert log.pairs_before(34).select("query", "product_id", "new").rows() == [
        ("fifa", "p2", True),
        ("halo", "p1", True),
    ]
    assert log.pairs_before(35, new_from=34).select("query", "product_id", "new").rows() == [
        ("fifa", "p2", False),
        ("halo", "p1", True),
        ("halo", "p2", True),
    ]
    assert log.queries_before(34) == {"halo", "fifa"}
    assert log.ignored == 1


def test_gains_are_the_log_of_the_clicks_of_the_week_alone(log):
    assert log.gains(33) == {"fifa": {"p2": 1.0}, "halo": {"p1": pytest.approx(1.585, abs=1e-3)}}
    assert log.gains(34) == {"halo": {"p1": 1.0, "p2": 1.0}}


def test_a_week_without_clicks_is_refused_with_a_sentence(log):
    assert list(log.weeks(34, 35)) == [34, 35]
    for week in (33, 36):
        with pytest.raises(SystemExit, match="cannot be tested"):
            list(log.weeks(week, week))
