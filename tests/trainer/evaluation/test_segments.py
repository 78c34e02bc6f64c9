"""Into which groups a test query falls."""

import polars as pl

from trainer.evaluation.segments import CELLS, MAX_CATEGORIES, describe, slices_of


def _qrels(rows):
    return pl.DataFrame(
        [(q, p, float(c), float(g), u) for q, p, c, g, u in rows],
        schema={
            "query": pl.String,
            "product_id": pl.String,
            "credit": pl.Float64,
            "gain": pl.Float64,
            "unseen": pl.Boolean,
        },
        orient="row",
    )


TRAINED = pl.DataFrame({"query": ["old"], "product_id": ["known"]})


def test_every_query_is_in_exactly_one_cell_of_seen_and_unseen():
    rows = [
        ("old a", "known", 1, 2, False),
        ("old b", "new", 1, 2, False),
        ("fresh a", "known", 1, 2, True),
        ("fresh b", "new", 1, 2, True),
    ]
    found = describe(_qrels(rows), TRAINED)
    cells = {row["query"]: [c for c in CELLS if row[c]] for row in found.iter_rows(named=True)}
    assert cells == {
        "old a": ["in_domain"],
        "old b": ["novel_product"],
        "fresh a": ["novel_query"],
        "fresh b": ["zero_shot"],
    }


def test_the_best_product_decides_whether_a_product_is_new():
    rows = [("q", "known", 1, 3, True), ("q", "new", 1, 1, True)]
    assert describe(_qrels(rows), TRAINED)["novel_query"].to_list() == [True]


def test_a_query_is_without_engagement_where_no_relevant_product_has_any():
    rows = [("q", "new", 1, 3, True), ("q", "known", 1, 1, True), ("r", "new", 1, 3, True)]
    found = describe(_qrels(rows), TRAINED).sort("query")
    assert found.select("new_product", "no_engagement").rows() == [(True, False), (True, True)]


def test_a_query_is_rare_where_few_clients_ever_did_something_after_it():
    rows = [(query, "known", 1, 1, True) for query in ("never", "taken back", "once", "twice")]
    clients = pl.DataFrame(
        [
            (query, "known", client, credit)
            for query, client, credit in (
                *(("twice", c, 1000) for c in "ab"),
                *(("once", c, 1000) for c in "a"),
                *(("taken back", c, 0) for c in "abcd"),
            )
        ],
        schema={"query": pl.String, "product_id": pl.String, "client": pl.String, "credit": pl.Int64},
        orient="row",
    )
    assert describe(_qrels(rows), TRAINED, None, clients)["rare"].to_list() == [True, True, True, False]
    assert not describe(_qrels(rows), TRAINED)["rare"].any()


def test_queries_are_sliced_by_their_words_and_the_greatest_categories():
    rows = [("lamp", "p1", 1, 1, True), ("red lamp", "p1", 1, 1, True), ("a red lamp", "p2", 1, 1, True)]
    found = describe(_qrels(rows), TRAINED, {"p1": "lights", "p2": "garden"})
    assert found.sort("query").select("one_word", "two_words", "more_words").rows() == [
        (False, False, True),
        (True, False, False),
        (False, True, False),
    ]
    assert [name for name in slices_of(found) if name.startswith("category")] == [
        "category: lights",
        "category: garden",
    ]
    assert found.sort("query")["category: lights"].to_list() == [False, True, True]


def test_only_the_greatest_categories_become_slices():
    rows = [(f"q{n}", f"p{n}", 1, 1, True) for n in range(20)]
    found = describe(_qrels(rows), TRAINED, {f"p{n}": f"c{n:02}" for n in range(20)})
    assert len([name for name in slices_of(found) if name.startswith("category")]) == MAX_CATEGORIES


def test_no_queries_have_all_segments_and_no_rows():
    found = describe(_qrels([]), TRAINED, {"p1": "lights"})
    assert found.is_empty()
    assert set(CELLS) < set(slices_of(found)) <= set(found.columns)
