"""The page of an evaluation: whole, safe, and nothing from outside."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from schemas.releases import Ranking
from schemas.training import Check, Decision, Score
from tests.trainer.evaluations import an_evaluation
from trainer.evaluation.plots import histogram, intervals
from trainer.evaluation.rank_changes import RankChange, digest_of
from trainer.evaluation.report_page import render

VOID = {"meta", "br", "line", "circle", "rect"}


class Reader(HTMLParser):
    """Fails on an unclosed tag; collects tags and text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _read(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader, " ".join(reader.text)


def _decision():
    check = Check(
        name="vs_base",
        verdict="pass",
        reason="better",
        baseline="base",
        delta=0.1,
        ci_low=0.05,
        ci_high=0.15,
        n=40,
    )
    return Decision(decision_id="r1", verdict="pass", checks=[check], at=datetime(2026, 1, 1, tzinfo=UTC))


def _page(evaluation, decision=None):
    return render(evaluation, {"p1": "Lamp"}, title="Run r1", facts={"run": "r1"}, decision=decision, seed=1)


def test_the_page_says_verdict_numbers_slices_examples_and_the_operators_sets():
    _, text = _read(_page(an_evaluation(judged={"ours": an_evaluation(6)}), _decision()))
    for said in (
        "Verdict:",
        "vs_base",
        "+0.1000",
        "Test: 40 queries",
        "Judgments: ours: 6 queries",
        "0.600",
        "novel_query",
        "query 00",
        "Lamp",
    ):
        assert said in text
    for heading in ("Greatest gains", "Worst of all", "Best of all"):
        assert heading in text


@pytest.mark.parametrize(
    "evil", ["<script>alert({})</script>", '"><img src=x onerror=y> {}', "]]> {} &amp; </svg>"]
)
def test_texts_of_a_shop_are_text_and_nothing_else(evil):
    reader, text = _read(_page(an_evaluation(4, query=evil)))
    assert not {"script", "img", "iframe", "link", "object"} & {tag for tag, _ in reader.tags}
    assert evil.format(0) in text


def test_no_other_text_of_the_page_becomes_markup_either():
    evil = "<script>alert(1)</script>"
    rise = RankChange(query=evil, product_id=evil, before=11, after=3, credit=2.0, clients=60, believed=0.03)
    check = _decision().checks[0].model_copy(update={"name": evil, "reason": evil, "verdict": evil})
    page = render(
        an_evaluation(4, judged={evil: an_evaluation(4)}),
        {"p1": evil},
        title=evil,
        facts={evil: evil},
        decision=_decision().model_copy(update={"checks": [check], "verdict": f'"{evil}'}),
        seed=1,
        risen=[rise],
    )
    reader, text = _read(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert text.count(evil) >= 10


def test_nothing_is_loaded_from_anywhere():
    page = _page(an_evaluation())
    reader, _ = _read(page)
    assert not [attrs for _, attrs in reader.tags if attrs.keys() & {"src", "href", "srcset", "action"}]
    assert not re.search(r"url\(|@import|https?://", page)
    assert "default-src 'none'" in page


def test_the_pairs_that_rose_most_are_shown_with_their_texts_and_the_digests_of_the_decision():
    rise = RankChange(
        query="<b>lamp</b>", product_id="p1", before=11, after=3, credit=2.0, clients=60, believed=0.03
    )
    known = rise.model_copy(update={"query": "tea", "believed": 1.0})
    _, text = _read(
        render(
            an_evaluation(4),
            {"p1": "Lamp"},
            title="Run r1",
            facts={},
            decision=_decision(),
            seed=1,
            risen=[known, rise],
        )
    )
    for said in (digest_of(rise.query), "<b>lamp</b>", "Lamp (p1)", "beyond 10", "3%"):
        assert said in text
    assert text.index("lamp") < text.index("tea")


def test_the_page_says_what_each_part_adds_and_in_words_what_works():
    score = Score(mean=0.05, ci_low=0.03, ci_high=0.07, n=40)
    gains = {"words": {"all": score, "repeated": score}, "dense": {"all": score}}
    found = an_evaluation()
    facts = found.facts.model_copy(
        update={
            "part_gains": gains,
            "rankings": {"candidate": Ranking(coefficients={"dense": 1.0, "words": 0.65})},
        }
    )
    _, text = _read(_page(replace(found, facts=facts)))
    for said in ("What works here", "Vectors carry most", "0.65", "+0.0500, +0.0300 to +0.0700"):
        assert said in text
    assert "What works here" not in _read(_page(found))[1]


def test_an_evaluation_without_queries_has_a_page_too():
    _, text = _read(_page(an_evaluation(0)))
    assert "There is nothing to score." in text


def test_an_interval_that_leaves_zero_is_coloured_and_one_that_does_not_is_not():
    picture = intervals(
        [("better", 0.2, 0.1, 0.3), ("worse", -0.2, -0.3, -0.1), ("same", 0.0, -0.1, 0.1)],
        zero=True,
        title="t",
    )
    assert re.findall(r'<circle class="(\w+)"', picture) == ["gain", "loss", "point"]
    assert intervals([], zero=True, title="t") == ""


def test_equal_numbers_do_not_break_a_picture():
    assert "nan" not in intervals([("a", 0.5, 0.5, 0.5)], zero=False, title="t")
    assert "unchanged: 2 of 3" in histogram(np.array([0.0, 0.0, 1.0]), title="t")
    assert histogram(np.array([]), title="t") == ""
