"""Pinned queries: which lines are acceptable, and which products are missing."""

import pytest

from trainer.gate.pinned import Pin, PinError, pins_missing, read_pins, write_pins


def test_no_file_pins_nothing(tmp_path):
    assert read_pins(tmp_path / "pinned.jsonl") == []


def test_pins_are_read_back_with_their_queries_normalised(tmp_path):
    path = tmp_path / "sub" / "pinned.jsonl"
    write_pins(path, [Pin(query="  XBox  360 ", products=["b", "a", "b"], k=3)])
    assert read_pins(path) == [Pin(query="xbox 360", products=["b", "a"], k=3)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("not json", "line 2"),
        ('{"query": "tv", "products": []}', "products"),
        ('{"query": "tv", "products": ["a"], "k": 0}', "k"),
        ('{"query": "tv", "products": ["a"], "place": 1}', "place"),
        ('{"query": "tv", "products": ["a", "b"], "k": 1}', "cannot all be"),
        ('{"query": "XBOX", "products": ["a"]}', "pinned twice"),
        ("[]", "line 2"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, line, told):
    path = tmp_path / "pinned.jsonl"
    path.write_text('{"query": "xbox", "products": ["a"]}\n' + line + "\n")
    with pytest.raises(PinError, match=told):
        read_pins(path)


def test_what_is_missing_is_named():
    pins = [Pin(query="tv", products=["a", "b"], k=2), Pin(query="tea", products=["c"])]
    found = pins_missing(pins, {"tv": ["a", "x", "b"]})
    assert [p.missing for p in found] == [["b"], ["c"]]
