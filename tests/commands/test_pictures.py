"""What ``pictures`` counts, and for which products it asks for another look."""

from commands.pictures import by_state, to_look_at_again
from schemas.products import CatalogProduct, ProductImage
from schemas.rejections import Reason

IMAGE = ProductImage(uri="https://cdn.shop.example/p.jpg")
FAILED, EARLIER, KEPT, WAITING, NONE = (
    CatalogProduct(product_id=name, title="Mug", version=1, place=(0, 1, 2), **fields)
    for name, fields in {
        "failed": {"image": IMAGE, "image_problem": Reason.IMAGE_FETCH, "image_of": (0, 1, 2)},
        "earlier": {
            "image": IMAGE,
            "image_problem": Reason.IMAGE_FETCH,
            "image_key": "k",
            "image_of": (0, 1, 2),
        },
        "kept": {"image": IMAGE, "image_key": "k", "image_of": (0, 1, 2)},
        "waiting": {"image": IMAGE},
        "none": {},
    }.items()
)
ALL = [FAILED, EARLIER, KEPT, WAITING, NONE]


def test_products_are_counted_by_what_became_of_their_picture() -> None:
    found = by_state(ALL)
    assert found == {
        "image_fetch": ["earlier", "failed"],
        "kept": ["kept"],
        "none": ["none"],
        "waiting": ["waiting"],
    }
    assert next(iter(found)) == "image_fetch"
    assert by_state([]) == {}


def test_another_look_is_for_those_with_an_address_and_takes_the_mark_of_the_last_one() -> None:
    assert to_look_at_again(ALL, "failed") == [
        FAILED.model_copy(update={"image_of": None}), EARLIER.model_copy(update={"image_of": None}),
    ]  # fmt: skip
    again = to_look_at_again(ALL, "all")
    assert [p.product_id for p in again] == ["failed", "earlier", "kept", "waiting"]
    assert {p.image_of for p in again} == {None}
