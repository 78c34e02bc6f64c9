"""What a refresh serves remembers everything; what it is fitted and judged with does not know the answers."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Action
from schemas.settings import TrainerSettings
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA, Snapshot
from trainer.data.splits import held_out
from trainer.data.up_to_now import UpToNow

SETTINGS = TrainerSettings(test_days=3, settled_days=0)
PRODUCTS = [f"p{n}" for n in range(5)]


def learnt(rows: list[tuple[str, str, int]]) -> UpToNow:
    """Three clients each buy the product after the query on the day."""
    pairs = pl.DataFrame(
        [(q, p, day, Action.PURCHASE.value, 3000, 3, 300) for q, p, day in dict.fromkeys(rows)],
        schema=PAIR_SCHEMA,
        orient="row",
    )
    clients = pl.DataFrame(
        [(q, p, f"{n:016x}", 1000) for q, p in dict.fromkeys((q, p) for q, p, _ in rows) for n in range(3)],
        schema=CLIENT_SCHEMA,
        orient="row",
    )
    catalog = pl.DataFrame({"product_id": PRODUCTS, "title": PRODUCTS, "text": PRODUCTS, "category": ""})
    order = ["query", "product_id", "day", "action"]
    return UpToNow.of(SETTINGS, Snapshot(pairs.sort(order), clients, catalog.sort("product_id")), [])


ROWS = st.lists(
    st.tuples(st.integers(0, 60).map("query {}".format), st.sampled_from(PRODUCTS), st.integers(90, 100)),
    min_size=1,
    max_size=60,
)


@given(ROWS)
def test_nothing_that_is_asked_was_remembered_from_the_days_it_is_asked_of(rows):
    found = learnt(rows)
    known = set(found.left_out.select("query", "product_id").iter_rows())
    before = {(q, p) for q, p, day in rows if day < found.cut_day and not held_out(q, SETTINGS.heldout_share)}
    assert known <= before
    fitted, judged = set(found.validation["query"].to_list()), set(found.test["query"].to_list())
    assert not fitted & judged
    for day in found.validation["as_of"].unique():
        then = {(q, p) for q, p, on in rows if on < day}
        if day < found.cut_day or found.cut_day <= max(on for *_, on in rows):  # else it is a single day's
            assert set(found.known.filter(as_of=day).select("query", "product_id").iter_rows()) == then
    assert set(found.everything.select("query", "product_id").iter_rows()) == {(q, p) for q, p, _ in rows}


def test_a_query_that_was_asked_today_is_served_and_not_fitted_with():
    found = learnt([("old", "p1", day) for day in range(80, 100)] + [("today", "p2", 100)])
    assert "today" in found.everything["query"].to_list()
    assert "today" not in found.left_out["query"].to_list()
    assert found.everything.filter(query="today")["credit"].item() == pytest.approx(3.0)
