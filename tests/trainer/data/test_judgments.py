"""An operator's own judgments, as a run keeps and scores them."""

from pathlib import Path

import polars as pl
import pytest

from broker.reading import Compacted
from broker.records import Record
from schemas.judged_queries import RatedQuery, judged_key
from trainer.data.judgments import (
    FILE,
    JudgmentsError,
    chosen,
    frame_of,
    judged_in,
    kept_sets,
    qrels_of,
    rows_of,
)

HOUSE = RatedQuery(name="house", query="red shoes", ratings={"p1": 3, "p0": 0})
HOSE = RatedQuery(name="house", query="hose", ratings={"p2": 1})
OTHER = RatedQuery(name="other", query="hose", ratings={"p3": 2})


def test_what_lies_under_anothers_key_or_cannot_be_read_is_no_judgment():
    state = Compacted()
    for key, value in (
        (judged_key("house", "red shoes"), HOUSE.to_json()),
        (judged_key("house", "mug"), HOSE.to_json()),
        (b"x", b"{"),
        (b"y", b""),
    ):
        state.apply(Record("judgments", 0, 0, 0, key, value))
    assert [(one.name, one.query, one.ratings) for one in judged_in(state)] == [
        ("house", "red shoes", {"p1": 3, "p0": 0})
    ]


def test_a_query_is_one_whatever_its_spelling():
    assert RatedQuery(name="house", query=" Red  SHOES", ratings={"p": 1}).query == "red shoes"
    with pytest.raises(ValueError, match="it is blank"):
        RatedQuery(name="house", query=" &nbsp;", ratings={"p": 1})


def test_the_settings_choose_sets_and_one_that_is_not_there_is_told():
    every = frame_of([OTHER, HOSE])
    assert chosen(every, []).equals(every)
    assert chosen(every, ["house"])["set"].to_list() == ["house"]
    with pytest.raises(JudgmentsError, match="names the set 'gone'"):
        chosen(every, ["house", "gone"])


def test_sets_are_kept_as_a_file_of_the_snapshot(tmp_path: Path):
    assert kept_sets(tmp_path) == {}
    frame_of([OTHER, HOUSE, HOSE]).write_parquet(tmp_path / FILE)
    kept = kept_sets(tmp_path)
    assert list(kept) == ["house", "other"]
    assert kept["house"].rows() == [("hose", "p2", 1.0), ("red shoes", "p0", 0.0), ("red shoes", "p1", 3.0)]
    assert kept["house"].equals(rows_of({"red shoes": {"p1": 3, "p0": 0}, "hose": {"p2": 1}}))


def test_judgments_become_qrels_that_know_what_training_has_seen():
    judged = rows_of({"red shoes": {"p1": 3, "p0": 0}, "hose": {"p2": 1}, "mug": {"p4": 0}})
    found = qrels_of(judged, pl.DataFrame({"query": ["red shoes"]}))
    assert found.rows() == [("hose", "p2", 1.0, 1.0, True), ("red shoes", "p1", 3.0, 3.0, False)]
