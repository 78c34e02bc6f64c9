"""What names a product, and which products a query names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.identifiers import identifiers_of, spellings
from retrieval.word_schema import WordDocument
from retrieval.words import NAMESAKES, WordIndex
from schemas.bounds import IDENTIFIERS
from schemas.products import Attribute, CatalogProduct


def named(attributes: dict[str, Attribute], *variants: str) -> list[str]:
    return identifiers_of(
        CatalogProduct(
            product_id="p", title="t", version=1, attributes=attributes, variant_ids=list(variants)
        )
    )


def index(names: dict[str, list[str]]) -> WordIndex:
    words = WordIndex("english")
    words.change(WordDocument(i, "red shoe", identifiers=own) for i, own in names.items())
    return words


@pytest.mark.parametrize(
    "name",
    [
        "sku",
        "SKU",
        "variant_sku",
        "Item SKU",
        "skuId",
        "ean",
        "EAN-13",
        "gtin14",
        "UPC code",
        "isbn10",
        "mpn",
        "Barcodes",
    ],
)
def test_an_attribute_is_known_by_its_name_however_shops_write_it(name: str) -> None:
    assert named({name: "AB-1"}) == ["AB-1"]


def test_no_other_attribute_and_no_value_that_is_no_text_or_whole_number_names_a_product() -> None:
    assert named({"colour": "R2", "skulls": "4", "mean": 3, "size": "9", "code": "7", "sku": True}) == []
    assert named({"sku": 2.5, "ean": 12.0, "mpn": ["a1", "b2"]}, "v1") == ["v1", "12", "00000012", "a1", "b2"]
    assert len(named({"sku": [f"s{n}" for n in range(5000)]})) == IDENTIFIERS


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("AB-12.3 X", "ab 12.3-x"),
        ("036000291452", "0036000291452"),
        ("36000291452", "00036000291452"),
        ("978-3-16-148410-0", "9783161484100"),
        ("item 12345", "ITEM12345"),
    ],
)
def test_case_spaces_hyphens_and_the_zeros_of_a_gtin_make_no_other_name(name: str, asked: str) -> None:
    assert spellings(name)[1] == spellings(asked)[1]
    assert index({"p": [name], "q": []}).named(asked) == {"p": 0.5}


def test_what_holds_no_digit_is_a_word_and_zeros_alone_are_a_placeholder() -> None:
    for text in ("shoes", "red-shoe", "", " ", "0" * 13, "1" * 300):
        assert spellings(text) == ()
        assert index({text or "x": [text]}).named(text) == {}


def test_numbers_that_differ_in_more_than_the_zeros_of_a_gtin_are_two_names() -> None:
    words = index({"00000017": [], "017": [], "1.7": []})
    assert [words.named(q) for q in ("17", "017", "1 7", "1.7", "3/4")] == [
        {}, {"017": 1.0}, {}, {"1.7": 1.0}, {},
    ]  # fmt: skip


def test_what_is_named_as_it_is_written_comes_before_what_is_named_otherwise() -> None:
    words = index({"1-23": [], "12-3": [], "x": ["123"]})
    assert words.named("12-3") == {"12-3": 1.0, "1-23": 0.5, "x": 0.5}
    assert list(words.named("123")) == ["x", "1-23", "12-3"]


def test_a_name_follows_the_catalogue() -> None:
    words = index({"p": ["sku-1"], "q": []})
    words.change([WordDocument("p", "t", identifiers=["sku-2"])], ["q"])
    assert (words.named("sku 1"), words.named("SKU2"), words.named("q")) == ({}, {"p": 0.5}, {})
    words.change(gone=["p"])
    assert words.named("sku-2") == {}


def test_what_too_many_products_share_names_none_of_them() -> None:
    words = index({f"p{n}": ["not in stock 1"] for n in range(NAMESAKES)})
    assert len(words.named("not in stock 1")) == NAMESAKES
    words.change([WordDocument("one more", "t", identifiers=["not in stock 1"])])
    assert words.named("not in stock 1") == {}


@settings(max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=30))
def test_every_name_with_a_digit_finds_its_product_whatever_it_holds(names: list[str]) -> None:
    words = index({"other 1": [], "p": names})
    assert all(("p" in words.named(name)) == bool(spellings(name)) for name in names)
