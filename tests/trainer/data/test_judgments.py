"""An operator's judgments: what is wrong is told by line, what is right is kept and comes back."""

import pytest

from trainer.data.judgments import JudgmentsError, keep, named_sets, qrels_of, read_judgments


def _line(query="red shoes", product="p1", relevance="3"):
    return (
        f'{{"query": "{query}", "product_id": "{product}", "relevance": {relevance}, "by": "Ann"}}'.encode()
    )


def _problems(*lines):
    return [(p.line, p.reason) for p in read_judgments(lines)[1]]


def test_judgments_are_read_with_queries_in_the_form_of_all_others():
    found, problems = read_judgments(
        [_line("  Red SHOES "), b"", _line(product="p0", relevance="0"), _line("hose", "7", "0.5")]
    )
    assert problems == []
    assert found.rows() == [("hose", "7", 0.5), ("red shoes", "p0", 0.0), ("red shoes", "p1", 3.0)]


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
def test_a_wrong_line_is_told_by_its_number_and_field(line, reason):
    ((number, said),) = _problems(_line(), line)
    assert number == 2
    assert reason in said


def test_the_same_judgment_twice_is_one_and_two_that_disagree_are_a_problem():
    assert _problems(_line(), _line()) == []
    assert _problems(_line(), _line("RED shoes", relevance="2")) == [
        (2, "relevance: 2, but line 1 says 3 for the same query and product")
    ]


def test_a_query_without_a_relevant_product_can_be_ranked_neither_right_nor_wrong():
    assert _problems(_line(), _line("hose", relevance="0"), _line("hose", "p2", "0")) == [
        (2, "no product is relevant to 'hose': at least one needs a relevance above 0")
    ]


def test_no_lines_are_no_judgments():
    found, problems = read_judgments([])
    assert found.is_empty()
    assert problems == []


def test_named_sets_come_back_as_they_were_kept(tmp_path):
    found, _ = read_judgments([_line(), _line("hose", "ü", "1")])
    assert named_sets(tmp_path) == {}
    keep(tmp_path, "autumn-2026", found)
    keep(tmp_path, "autumn-2026", found)
    (kept,) = named_sets(tmp_path).items()
    assert kept[0] == "autumn-2026"
    assert kept[1].equals(found)


@pytest.mark.parametrize("name", ["", "../x", "A", ".hidden", "a/b", "x" * 41])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path, name):
    with pytest.raises(JudgmentsError, match="cannot name a set"):
        keep(tmp_path, name, read_judgments([_line()])[0])


def test_a_set_that_was_damaged_is_told_and_not_skipped(tmp_path):
    path = keep(tmp_path, "ours", read_judgments([_line()])[0])
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(JudgmentsError, match=r"ours.jsonl, line 2: query: Field required"):
        named_sets(tmp_path)


def test_judgments_become_qrels_that_know_what_training_has_seen():
    judged, _ = read_judgments([_line(), _line(product="p0", relevance="0"), _line("hose", "p2", "1")])
    trained = qrels_of(judged, judged.clear()).filter(judged["query"][0] == "x")
    found = qrels_of(judged, trained.vstack(qrels_of(judged.head(1), judged.clear())))
    assert found.rows() == [("hose", "p2", 1.0, 1.0, False), ("red shoes", "p1", 3.0, 3.0, True)]
