"""A model that is refreshed over a click log knows what was before the week or the day, and no more."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import json

import pytest

from schemas.releases import Ranking

pytestmark = pytest.mark.model
REMEMBERS = Ranking(coefficients={"dense": 1.0, "memory": 4.0})


@pytest.fixture
def log(tmp_path):
    """On Monday shoppers take the lamp after a word of their own, on Tuesday after one that is like it."""
    from benchmarks.learning.clicklog import ClickLog

    clicks = [("zorvel", "kettle", "2011-08-13")] * 2
    clicks += [("zorvelin", "lamp", "2011-08-15")] * 9 + [("zorvelink", "kettle", "2011-08-16")]
    clicks += [("zorvelin", "lamp", "2011-08-16")]
    rows = [
        {
            "query": q,
            "product_id": p,
            "query_time": f"{d}T10:00:00",
            "click_time": f"{d}T10:00:01",
            "session": "s",
        }
        for q, p, d in clicks
    ]
    (tmp_path / "clicks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    products = [{"product_id": name, "title": name} for name in ("kettle", "lamp", "mug")]
    (tmp_path / "products.jsonl").write_text("".join(json.dumps(row) + "\n" for row in products))
    return ClickLog.read(tmp_path / "clicks.jsonl", tmp_path / "products.jsonl")


def test_a_query_is_answered_by_what_was_known_before_the_day_on_which_it_was_first_asked(log, tmp_path):
    from benchmarks.learning.clicklog import SETTINGS
    from benchmarks.learning.refreshed import FrozenModel, RefreshedModel
    from retrieval.model_folder import resolve_model
    from trainer.evaluation.rankers import EvaluationCatalog, words_of_catalog

    catalog = EvaluationCatalog.of(log.catalog)
    path = resolve_model(SETTINGS.base_model)
    model = FrozenModel.of(log, SETTINGS, path, catalog, words_of_catalog(catalog, SETTINGS.language))
    weekly, daily = (
        RefreshedModel(model, REMEMBERS, tmp_path / name).week(33, daily=name == "daily", fitting=False)
        for name in ("weekly", "daily")
    )
    assert list(log.gains(33)) == ["zorvelin", "zorvelink"]
    assert weekly[0] == daily[0], "what was taken on Monday is not known on Monday"
    assert daily[0][0] == "kettle"
    assert daily[1][0] == "lamp", "on Tuesday it is"
    assert weekly[1][0] == "kettle", "nor all week where nothing is refreshed"

    fits = RefreshedModel(model, REMEMBERS, tmp_path / "fits")
    fits.week(33, daily=True, fitting=True)
    assert [told.startswith("live's") for told in fits.told.values()] == [True, True]
    assert fits.ranking.coefficients == REMEMBERS.coefficients
