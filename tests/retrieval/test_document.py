"""The text that a model reads of a product."""

from retrieval.document import (
    COMPOSITION,
    FIELD_CHARS,
    FIELDS,
    MAX_ATTRIBUTES,
    attributes_of,
    document_hash,
    document_of,
    document_text,
    fields_of,
    only,
)
from schemas.products import CatalogProduct


def product(title: str = "HDMI Cable 2m", **fields: object) -> CatalogProduct:
    return CatalogProduct.model_validate({"product_id": "p1", "title": title, "version": 1, **fields})


def test_a_bare_product_is_its_title():
    assert document_text(product()) == "HDMI Cable 2m"


def test_the_title_comes_first_then_brand_leaf_category_and_attributes():
    text = document_text(
        product(
            brand="Belkin",
            category_path=["Electronics", "Cables"],
            attributes={"b": "black", "a": ["gold", "flat"]},
        )
    )
    assert text == "HDMI Cable 2m | Belkin | Cables | gold flat black"


def test_what_the_title_says_is_not_said_twice():
    assert (
        document_text(product("Belkin HDMI Cable", brand="BELKIN", category_path=["Cable"]))
        == "Belkin HDMI Cable"
    )
    assert (
        document_text(product("Red HDMI Cable", attributes={"colour": "red", "length": "2 m"}))
        == "Red HDMI Cable | 2 m"
    )


def test_numbers_and_long_attributes_stay_out_and_the_rest_is_bounded():
    many = {f"k{i:02d}": f"v{i:02d}" for i in range(30)}
    text = document_text(product(attributes={"weight": 3.5, "wet": True, "story": "x" * 41, **many}))
    assert text == "HDMI Cable 2m | " + " ".join(f"v{i:02d}" for i in range(MAX_ATTRIBUTES))


def test_the_order_of_attributes_in_the_message_does_not_change_the_text_or_its_hash():
    one = document_text(product(attributes={"a": "red", "b": "wool"}))
    other = document_text(product(attributes={"b": "wool", "a": "red"}))
    assert document_hash(one) == document_hash(other)
    assert document_hash(one) != document_hash(one + " ")


def test_a_document_holds_every_field_on_a_line_of_its_own():
    own = product(
        brand="Belkin",
        description="<p>Gold\nplated</p>",
        attributes={"length": 2.5, "flat": True, "coiled": False, "ends": ["A", "C"]},
    )
    found = fields_of(document_of(own))
    assert found["text"] == document_text(own)
    assert found["picture"] == ""
    assert found["description"] == "Gold plated"
    assert found["attributes"] == "ends A C, flat" == attributes_of(own)
    assert document_of(product()) == document_text(product())


def test_only_what_counts_makes_two_documents_different():
    bare, told = (document_of(product(description=text)) for text in ("", "Gold plated"))
    assert document_hash(only(bare, {"text"})) == document_hash(only(told, {"text"})) == document_hash(bare)
    assert only(told, {"text", "description"}) == only(told, FIELDS) == told != bare


def test_long_fields_are_cut_and_line_ends_in_them_are_no_fields():
    own = product(description="a\n" * 1000, attributes={"story": "b\n" * 400})
    assert len(document_of(own).splitlines()) == len(FIELDS)
    found = fields_of(document_of(own))
    assert len(found["description"]) == len(found["attributes"]) == FIELD_CHARS


def test_another_composition_is_another_version():
    """Whoever changes this digest raises ``COMPOSITION``: releases of the old one hold other documents."""
    rich = product(
        "Red shoe",
        brand="Acme",
        category_path=["Shoes", "Running"],
        description="<b>Light</b> and\nsoft",
        attributes={"colour": "red", "size": 42, "light": True, "soles": ["rubber", "cork"]},
        image_key="pictures/1/ab/ab",
    )
    assert (COMPOSITION, document_hash(document_of(rich))[:12]) == (1, "1709be6fd3cf")
