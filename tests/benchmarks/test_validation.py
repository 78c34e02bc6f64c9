"""A small run of the corpus of planted faults.

Validation catches every kind, for its reason, and takes what is good.
"""

from benchmarks.intake.planted_faults import FAULTS
from benchmarks.validation import measure


def test_every_planted_fault_is_refused_for_its_reason_and_no_good_record_is():
    found = measure(seed=5, per_kind=6, sessions=150, fuzz=1500)
    assert found["slipped"] == {}
    assert found["wrong_reason"] == {}
    assert found["refused"] == {}
    assert found["planted"] == found["right_reason"] == 6 * len(FAULTS)
    assert found["clean"] > 500


def test_the_corpus_has_each_fault_once_and_covers_the_raw_topics():
    names = [(f.topic, f.name) for f in FAULTS]
    assert len(names) == len(set(names)) >= 180
    assert {topic for topic, _ in names} == {"searches", "interactions", "erasures", "products"}
    assert len({f.reason for f in FAULTS}) >= 15
