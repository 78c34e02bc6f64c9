"""Which pairs the memory is made of, and how much one client, or many made up ones, can move there."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.query_memory import QueryMemory, Taken, remembered_queries, write_memory
from schemas.events import Action
from schemas.settings import TrainerSettings
from trainer.data.remembered import MAX_ALONE, NEWCOMERS, remembered
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.weights import Weighting

WEIGHTING = Weighting.of(TrainerSettings())
Row = tuple[str, str, str, int]


def found(rows: list[Row], weighting: Weighting = WEIGHTING) -> pl.DataFrame:
    """Remember what clients bought today: query, product, client, how often."""
    clients = pl.DataFrame(
        [(query, product, client, 1000 * count) for query, product, client, count in rows],
        schema=CLIENT_SCHEMA,
        orient="row",
    )
    pairs = (
        clients.group_by("query", "product_id")
        .agg(pl.col("credit").sum())
        .select(
            "query",
            "product_id",
            day=pl.lit(100),
            action=pl.lit(Action.PURCHASE.value),
            credit=pl.col("credit"),
            units=pl.lit(1),
            revenue_minor=pl.lit(0),
        )
        .cast(pl.Schema(PAIR_SCHEMA))
    )
    return remembered(pairs, clients, weighting, newest_day=100)


def value(rows: list[Row], query: str, product: str) -> float:
    """Say what the memory of these rows says of a product."""
    pairs = [Taken(*row) for row in found(rows).iter_rows()]
    queries = remembered_queries(pairs)
    vectors = np.array([np.eye(1, 8, sum(map(ord, q)) % 8)[0] for q in [*queries, query]], dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        write_memory(Path(folder) / "m", pairs, queries, vectors[:-1], model_sha256="m")
        memory = QueryMemory.load(Path(folder) / "m")
        return memory.values([query], vectors[-1:])[0].get(product, 0.0)


def test_a_pair_of_one_client_says_whose_it_is():
    rows = found([("q", "a", "c1", 3), ("q", "b", "c1", 1), ("q", "b", "c2", 1)])
    assert rows.rows() == [("q", "a", pytest.approx(3.0), "c1"), ("q", "b", pytest.approx(2.0), None)]


def test_a_client_counts_for_no_more_than_all_others_together():
    rows = found([("q", "a", "c1", 400), ("q", "a", "c2", 1), ("q", "a", "c3", 1)])
    assert rows["credit"].to_list() == [pytest.approx(4.0)]


def test_a_pair_whose_clients_nobody_knows_counts_as_it_is():
    rows = found([("q", "a", "c1", 3)])
    unknown = remembered(
        pl.DataFrame([("q", "a", 100, "purchase", 3000, 1, 0)], schema=PAIR_SCHEMA, orient="row"),
        pl.DataFrame(schema=CLIENT_SCHEMA),
        WEIGHTING,
        newest_day=100,
    )
    assert unknown["client"].to_list() == [None]
    assert unknown["credit"].to_list() == rows["credit"].to_list()


def test_newcomers_alone_move_nothing_however_many_they_are():
    """Each has one event. Neither the query that they asked nor one like it shows their product."""
    honest = [(f"q{n % 20}", f"p{n % 7}", f"c{n % 50}", 1) for n in range(400)]
    made_up = [("q3", "spam", f"new{n}", 1) for n in range(30)]
    rows = found([*honest, *made_up]).filter(product_id="spam")
    assert rows["client"].to_list() == [NEWCOMERS]
    for query in ("q3", "q33"):
        assert value([*honest, *made_up], query, "spam") == 0.0
        known = [("q3", "spam", f"c{n}", 1) for n in range(3)]  # who did other things too
        assert value([*honest, *made_up, *known], query, "spam") > 0.0


def test_newcomers_are_clients_like_any_other_where_they_are_usual_or_everybody_is_believed():
    once = [(f"q{n % 20}", f"p{n % 7}", f"c{n}", 1) for n in range(400)]
    assert set(found(once)["client"]) == {None}
    pairs = [(f"q{n % 20}", f"p{n % 7}", f"c{n % 50}", 1) for n in range(400)]
    made_up = [*pairs, *(("q3", "spam", f"new{n}", 1) for n in range(30))]
    believing = replace(WEIGHTING, newcomer_deviations=0.0)
    assert set(found(made_up, believing).filter(product_id="spam")["client"]) == {None}


def test_nothing_is_made_of_nothing():
    assert found([]).is_empty()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 500), st.integers(1, 3))
def test_one_client_alone_moves_a_product_by_nothing(times: int, queries: int):
    honest = [("xbox", "p1", f"c{n}", 1) for n in range(5)]
    pushed = [(query, "bad", "liar", times) for query in ("xbox", "xbox 360", "xboxx")[:queries]]
    assert value([*honest, *pushed], "xbox", "bad") == 0.0
    assert value([*honest, *pushed], "xbox", "p1") == pytest.approx(value(honest, "xbox", "p1"), abs=0.02)


def test_of_what_one_client_did_alone_the_most_credited_is_kept():
    rows = [(f"q{n:03}", "a", "c1", 1 + n // 50) for n in range(100)] + [("other", "a", "c2", 1)]
    kept = found(rows).filter(pl.col("client") == "c1")
    assert kept["query"].to_list() == [f"q{n:03}" for n in range(50, 50 + MAX_ALONE)]


def test_many_made_up_clients_move_no_more_than_a_few():
    """Each has one event. The shop's own shoppers come back, so newcomers are believed in usual numbers."""
    honest = [
        (f"query {n % 40}", f"p{n % 40}", f"c{(n * 7 + turn * 13) % 60}", 1)
        for n in range(200)
        for turn in range(3)
    ]
    honest = list(dict.fromkeys(honest))
    few, many = ([("query 7", "bad", f"liar{n}", 1) for n in range(count)] for count in (5, 300))
    assert value([*honest, *many], "query 7", "bad") <= value([*honest, *few], "query 7", "bad") + 0.02


def test_what_others_did_with_a_pair_in_the_test_days_does_not_make_it_count():
    """Before the cut one client alone had made it; clients are known of all days together."""
    rows = pl.DataFrame(
        [("q", "a", 100, Action.PURCHASE.value, 3000, 1, 0)], schema=PAIR_SCHEMA, orient="row"
    )
    clients = pl.DataFrame(
        [("q", "a", "c1", 3000), ("q", "a", "c2", 2000)], schema=CLIENT_SCHEMA, orient="row"
    )
    assert remembered(rows, clients, WEIGHTING, newest_day=100)["client"].to_list() == ["c1"]
    shared = clients.with_columns(credit=pl.Series([1500, 1500]))
    assert remembered(rows, shared, WEIGHTING, newest_day=100)["client"].to_list() == [None]
