"""What stands for no text, no price and no picture."""

import pytest

from completeness.placeholders import is_made_up_price, names_no_picture, says_nothing


@pytest.mark.parametrize(
    "text",
    [
        "N/A", "-", "tbd", "TBA", "test", "Test product 12", "sample_title",
        "lorem ipsum dolor sit amet, consectetur",
        "null", "No image", "#N/A", "#REF!", "Default Title", "Uncategorized",
        "{{ product.title }}", "${name}",
        "xxxx", "aaa", "...", "?", "No description available", "keine Angabe", "нет", "暂无",
    ],
)  # fmt: skip
def test_a_placeholder_is_known(text: str) -> None:
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text",
    [
        "Test tube rack", "Sample box of teas", "Null Space, a novel", "X-Men", "777", "Title case for coins",
        "M", "10",
        "Unknown Pleasures, LP", "Brand new horizon: a history", "100% cotton, 50% off",
        "No image of God: essays",
    ],
)  # fmt: skip
def test_a_real_text_is_none(text: str) -> None:
    assert not says_nothing(text)


def test_prices_that_are_typed_where_none_is_known() -> None:
    assert [p for p in (0.01, 1.0, 9.99, 99.99, 9999.99, 99999.0, 123456.0) if is_made_up_price(p)] == [
        0.01, 9999.99, 99999.0, 123456.0,
    ]  # fmt: skip


def test_a_picture_that_stands_for_none_is_known_by_the_end_of_its_address() -> None:
    assert names_no_picture("https://cdn.example/a/No-Image.jpg?w=1")
    assert names_no_picture("https://cdn.example/placeholder_300.png")
    assert not names_no_picture("https://no-image.example/mug.jpg")
    assert not names_no_picture("")
