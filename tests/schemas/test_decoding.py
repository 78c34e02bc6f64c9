"""Whatever the bytes are, they become a message or a reason; and what says nothing is absent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.absent import NOBODY, PROGRAM_WORDS
from schemas.bounds import JSON_DEPTH, REQUEST_BYTES
from schemas.decoding import load, read
from schemas.events import Interaction, Search
from schemas.products import Product
from schemas.rejections import Rejection
from schemas.releases import DeploymentCommand
from schemas.search import SearchRequest
from schemas.training import Trigger

GOOD = {
    Search: {"query_id": "q", "user_query": "mug", "timestamp": 1_700_000_000, "client_id": "c"},
    Interaction: {"action_name": "click", "timestamp": 1_700_000_000, "client_id": "c", "object_id": "p"},
    Product: {"product_id": "p", "title": "Mug"},
    SearchRequest: {"request_id": "r", "user_query": "mug"},
    Trigger: {"trigger_id": "t", "requested_at": 1_700_000_000},
    DeploymentCommand: {"command_id": "c", "action": "pause", "at": 1_700_000_000},
}
KINDS = list(GOOD)


def said(kind, **fields):
    found = read(json.dumps(GOOD[kind] | fields).encode(), kind)
    assert not isinstance(found, Rejection), found
    return found


def reason(kind, raw):
    found = read(raw, kind)
    assert isinstance(found, Rejection), found
    return found.reason.value


def nested(depth, opening=b"[", closing=b"]"):
    return b'{"note":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["", '"schema_version":"1",'])
def test_half_a_character_is_undecodable_in_any_field_of_any_message(kind, version):
    for half in ("\\ud800", "\\udc00", "x\\ud83d", "\\ud83d\\ud83d"):
        for name in (*GOOD[kind], "note"):
            assert reason(kind, f'{{{version}"{name}":"{half}"}}'.encode()) == "undecodable_text"
        assert reason(kind, f'{{{version}"{half}":1}}'.encode()) == "undecodable_text"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [JSON_DEPTH + 1, 300, 900, 1000, 2000, 5000, 100_000])
def test_brackets_without_end_are_no_json(kind, depth):
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        assert reason(kind, nested(depth, opening, closing)[:REQUEST_BYTES]) == "json_decode"
        assert (
            reason(kind, b'{"schema_version":"1",' + nested(depth, opening, closing)[1 : REQUEST_BYTES - 50])
            == "json_decode"
        )
    assert reason(kind, b"[" * min(depth, REQUEST_BYTES)) == "json_decode"


@pytest.mark.parametrize("kind", KINDS)
def test_what_nests_as_deep_as_the_bound_is_read(kind):
    body = json.dumps(GOOD[kind]).encode()
    assert isinstance(read(body[:-1] + b"," + nested(JSON_DEPTH - 1)[1:], kind), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, "not_object"), (b"", "json_decode"), (b"\xff\xfe{}", "undecodable_text"),
        (b"[]", "not_object"), (b"null", "not_object"), (b'{"a":NaN}', "json_decode"),
        (b'{"a":' + b"9" * 5000 + b"}", "json_decode"), (b" " * (REQUEST_BYTES + 1), "too_large"),
        (b"{}", "schema"), (b'{"a":"\xed\xa0\x80"}', "undecodable_text"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_its_reason(kind, raw, expected):
    assert reason(kind, raw) == expected


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner,
                           max_size=4) | st.dictionaries(st.sampled_from(["query_id", "items", "filters", "k",
                                                                          "hits"]), inner),
).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_nothing_is_raised_for_any_bytes(raw):
    for kind in KINDS:
        assert isinstance(read(raw, kind), Rejection | kind)
    assert isinstance(load(raw), Rejection | dict)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_null_and_blank_are_absent_in_every_optional_field(kind, nothing):
    optional = [name for name, field in kind.model_fields.items() if not field.is_required()]
    names = [
        f.validation_alias.choices[-1] if f.validation_alias else n
        for n, f in kind.model_fields.items()
        if n in optional
    ]
    clean = said(kind, **dict.fromkeys([*optional, *names], nothing) | GOOD[kind])
    assert clean == said(kind)


def test_parts_of_a_message_may_leave_out_what_they_do_not_know():
    item = {
        "object_id": "p",
        "quantity": None,
        "unit_price": "",
        "currency": "(not set)",
        "query_id": "undefined",
        "ordinal": None,
    }
    assert said(Interaction, items=[item]).items == said(Interaction, items=[{"object_id": "p"}]).items
    assert said(Search, hits=[{"object_id": "p", "rank": 1, "score": ""}]).hits[0].score is None
    assert (
        said(Interaction, event_attributes={"object": None, "position": {"ordinal": None}}).object_id == "p"
    )
    assert said(Product, attributes={"colour": None, "size": "", "n": 1}).attributes == {"size": "", "n": 1}
    assert said(Product, image=None, updated_at="0001-01-01T00:00:00Z").updated_at is None


def test_a_required_field_is_never_made_up():
    for kind, good in GOOD.items():
        for name in good:
            if kind.model_fields.get(name) is not None and kind.model_fields[name].is_required():
                assert reason(kind, json.dumps(good | {name: None}).encode()) == "schema"
    assert (
        reason(
            SearchRequest,
            json.dumps(GOOD[SearchRequest] | {"filters": [{"field": "brand", "value": None}]}).encode(),
        )
        == "schema"
    )
    assert reason(Search, json.dumps(GOOD[Search] | {"hits": [None]}).encode()) == "schema"


@pytest.mark.parametrize(
    "word",
    [*sorted(PROGRAM_WORDS), "NULL", "nan", "none", "Undefined", "00000000-0000-0000-0000-000000000000"],
)
def test_a_word_that_stands_for_nobody_is_no_id(word):
    search = said(
        Search, client_id=word, session_id=word, event_id=word, query_response_hit_ids=["a", word, "b"]
    )
    assert (search.client_id, search.session_id, search.event_id, search.query_response_hit_ids) == (
        None,
        None,
        None,
        ["a", "b"],
    )
    assert said(Interaction, order_id=word, user_id=word).order_id is None
    assert said(Product, variant_ids=["v", word]).variant_ids == ["v"]
    assert said(Product, group_id=word).group_id is None
    assert said(SearchRequest, client_id=word).client_id is None
    for kind, field in ((Search, "query_id"), (Product, "product_id"), (SearchRequest, "request_id")):
        found = read(json.dumps(GOOD[kind] | {field: word}).encode(), kind)
        assert isinstance(found, Rejection)
        assert [p.loc for p in found.problems] == [field]


def test_a_number_that_is_zero_is_an_id():
    assert said(Search, client_id=0).client_id == "0"
    assert "0" not in NOBODY


def test_a_rejection_names_the_place_in_the_message_as_it_was_sent():
    found = read(
        json.dumps(GOOD[Search] | {"user_id": "", "hits": [{"object_id": "p", "rank": 0}]}).encode(), Search
    )
    assert [p.loc for p in found.problems] == ["hits.0.rank"]
    assert (
        reason(Search, json.dumps(GOOD[Search] | {"schema_version": 2, "query_id": 1.5}).encode())
        == "unsupported_version"
    )
