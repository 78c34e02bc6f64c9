"""What is judged next, and what the forms of the judge say. Pure."""

from api.bodies import HttpFault
from api.console.judging_forms import JudgedHit, imported_wish, queries_to_judge, rated_wish
from schemas.operator_http import QueryCount
from schemas.search import ScoredHit
from tests.api.test_judgment_state import holding, judged

FORM = {"set": "house", "q": "Mug", "actor": "ann"}


def test_the_most_frequent_answered_queries_come_first_and_behind_them_what_else_is_in_the_set():
    def searched(query: str, searches: int, unanswered: int = 0) -> QueryCount:
        return QueryCount(
            query=query, searches=searches, unanswered=unanswered, clicked=0, earlier=0, later=0
        )

    state = holding(judged("cup", p1=1, p2=0), judged("old", p1=1), judged("x", name="other", p1=1))
    rows = queries_to_judge(state, "house", [searched("mug", 9), searched("none", 5, 5), searched("cup", 2)])
    assert [(row.query, row.searches, row.judged) for row in rows] == [
        ("mug", 9, 0), ("cup", 2, 2), ("old", 0, 1),
    ]  # fmt: skip


def test_a_form_rates_its_answers_and_one_that_is_left_out_is_not_rated():
    wish = rated_wish(FORM | {"p0": "p1", "r0": "3", "p1": "p2", "r1": "", "p2": "p3"})
    assert not isinstance(wish, HttpFault)
    assert (wish.name, wish.actor) == ("house", "ann")
    assert [(one.query, one.product_id, one.relevance) for one in wish.judgments] == [
        ("mug", "p1", 3), ("mug", "p2", None), ("mug", "p3", None),
    ]  # fmt: skip
    for wrong in ({"actor": ""}, {"set": "../x"}, {"q": " "}, {"r0": "good"}, {"r0": "-1"}, {"p0": ""}):
        assert isinstance(rated_wish(FORM | {"p0": "p1", "r0": "3"} | wrong), HttpFault), wrong


def test_pasted_lines_are_taken_as_a_whole_or_not_at_all():
    wish = imported_wish(FORM | {"text": "query,product_id,relevance\r\nmug,p1,2\r\n"})
    assert not isinstance(wish, HttpFault)
    assert [(one.query, one.product_id, one.relevance) for one in wish.judgments] == [("mug", "p1", 2)]
    fault = imported_wish(FORM | {"text": '{"query": "a", "product_id": "p", "relevance": 1}\n{'})
    assert isinstance(fault, HttpFault)
    assert "line 2" in fault.message
    assert isinstance(imported_wish(FORM | {"text": ""}), HttpFault)
    many = "query,product_id,relevance\n" + "".join(f"q{n},p,1\n" for n in range(5001))
    assert isinstance(imported_wish(FORM | {"text": many}), HttpFault)


def test_a_rating_of_a_file_that_no_key_has_stays_to_choose():
    hit = ScoredHit(product_id="p", rank=1, score=1.0, fields={})
    assert [value for value, _ in JudgedHit(hit, 2.5).choices] == ["", "0", "1", "2", "3", "2.5"]
    assert [JudgedHit(hit, relevance).chosen for relevance in (None, 0, 3.0)] == ["", "0", "3"]
    assert len(JudgedHit(hit, 3.0).choices) == 5
