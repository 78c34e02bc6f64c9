"""Files of judgments: what is wrong is told by line, what is right comes back as it was."""

import pytest

from operations.judgment_lines import as_csv, as_lines, read_judgments
from schemas.decoding import refuse
from schemas.rejections import Reason


def _line(query: str = "red shoes", product: str = "p1", relevance: str = "3") -> bytes:
    return (
        f'{{"query": "{query}", "product_id": "{product}", "relevance": {relevance}, "by": "Ann"}}'.encode()
    )


def _problems(*lines: bytes) -> list[tuple[int, str]]:
    return [(p.line, p.reason) for p in read_judgments(lines)[1]]


def test_judgments_are_read_with_queries_in_the_form_of_all_others():
    found, problems = read_judgments(
        [_line("  Red SHOES "), b"", _line(product="p0", relevance="0"), _line("hose", "7", "0.5")]
    )
    assert problems == []
    assert found == {"hose": {"7": 0.5}, "red shoes": {"p0": 0.0, "p1": 3.0}}
    assert list(found) == ["hose", "red shoes"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Invalid JSON"),
        (b"[1]", "Input should be an object"),
        (b'{"query": "a", "relevance": 1}', "product_id: Field required"),
        (_line(relevance="-1"), "relevance: Input should be greater than or equal to 0"),
        (_line(relevance="1e9"), "relevance: Input should be less than or equal to 1000"),
        (_line(relevance="NaN"), "relevance: Input should be "),
        (_line(relevance="true"), "relevance: "),
        (_line(relevance='"high"'), "relevance: Input should be a valid number"),
        (_line(query=" &nbsp; "), "query: it is blank"),
        (_line(product=""), "product_id: "),
        (b"\xff\xfe", "Invalid JSON"),
    ],
)
def test_a_wrong_line_is_told_by_its_number_and_field(line: bytes, reason: str):
    ((number, said),) = _problems(_line(), line)
    assert number == 2
    assert reason in said


def test_the_same_judgment_twice_is_one_and_two_that_disagree_are_a_problem():
    assert _problems(_line(), _line()) == []
    assert _problems(_line(), _line("RED shoes", relevance="2")) == [
        (2, "relevance: 2, but line 1 says 3 for the same query and product")
    ]


def test_no_lines_are_no_judgments_and_a_line_that_could_not_be_read_is_a_problem():
    assert read_judgments([]) == ({}, [])
    damaged = refuse(Reason.UNDECODABLE_TEXT, message="the file is damaged")
    assert read_judgments([damaged])[1][0].reason == "the file is damaged"


def test_what_is_written_is_read_again():
    ratings = {"hose": {'ü, "1"': 0.5}, "red shoes": {"p0": 0.0, "p1": 3.0}}
    for written in (as_lines(ratings), as_csv(ratings)):
        assert read_judgments(written.encode().splitlines()) == (ratings, [])
    assert as_csv({}) == "query,product_id,relevance\n"


def test_a_line_that_is_no_csv_is_a_problem_and_the_next_one_is_read():
    lines = [b"query,product_id,relevance", b"mug,p1," + b"9" * 200_000, b"mug,p2,1"]
    found, problems = read_judgments(lines)
    assert found == {"mug": {"p2": 1.0}}
    assert [(p.line, p.reason.startswith("not CSV: ")) for p in problems] == [(2, True)]


def test_csv_is_known_by_its_head_and_takes_its_columns_in_any_order():
    head = "\ufeffQuery, relevance,by,product_id"
    found, problems = read_judgments([head.encode(), b"", b"red mug,2,ann,p1", b"mug,4e9,ann,p2", b"mug"])
    assert found == {"red mug": {"p1": 2.0}}
    assert [(p.line, p.reason.partition(":")[0]) for p in problems] == [(4, "relevance"), (5, "product_id")]
