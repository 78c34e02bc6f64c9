"""A product and its picture change apart, and neither overwrites the other."""

import subprocess
import sys

import pytest

from media.addresses import FetchRules
from schemas.products import CatalogProduct, ProductImage
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from stream.pictured import carried, held_picture, with_outcome
from stream.picturing import fetch_rules, to_look_at, together, told
from stream.versions import Held, numbered
from tests.stream.builders import record

IMAGE = ProductImage(uri="https://cdn.shop.example/p.jpg")
OTHER = ProductImage(uri="https://cdn.shop.example/q.jpg")
KEY = "pictures/1/ab/abcd"


def product(offset: int = 1, **fields: object) -> CatalogProduct:
    return CatalogProduct(
        **{
            "product_id": "p",
            "title": "Mug",
            "version": offset,
            "place": (0, offset, offset),
            "image": IMAGE,
            **fields,
        }
    )


def held(of: CatalogProduct) -> Held:
    return Held(of.version, of.shop_version, of.place, held_picture(of.image, of.image_key))


def test_what_became_of_a_picture_is_the_next_version_of_the_record_that_was_looked_at() -> None:
    seen = product(5)
    outcome = seen.model_copy(update={"image_key": KEY, "image_of": seen.place})
    found = with_outcome(outcome, held(seen))
    assert found == outcome.model_copy(update={"version": 6})


def test_an_outcome_counts_once() -> None:
    seen = product(5)
    outcome = seen.model_copy(update={"image_key": KEY})
    applied = with_outcome(outcome, held(seen))
    assert applied is not None
    assert with_outcome(outcome, held(applied)) is None


@pytest.mark.parametrize(
    "now", [None, held(product(6)), held(product(5, place=(0, 9, 9))), held(product(5, place=None))]
)
def test_an_outcome_of_another_record_counts_nothing(now: Held | None) -> None:
    """The product was deleted, changed, or deleted and made again under the same version."""
    assert with_outcome(product(5, image_key=KEY), now) is None


def test_a_product_that_changes_keeps_its_picture_while_the_address_is_the_same() -> None:
    before = held(product(1, image_key=KEY))
    assert carried(product(2, price=3.0), before).image_key == KEY
    assert carried(product(2, image=OTHER), before).image_key is None
    assert carried(product(2, image=IMAGE.model_copy(update={"sha256": "0" * 64})), before).image_key is None
    assert carried(product(2, image=None), before).image_key is None
    assert carried(product(2), held(product(1))).image_key is None
    assert carried(product(2), None).image_key is None


def test_the_shop_s_next_record_follows_an_outcome() -> None:
    """Its version is above the one that the outcome took, and its picture is looked at again."""
    applied = with_outcome(product(5, image_key=KEY, image_of=(0, 5, 5)), held(product(5)))
    assert applied is not None
    following = numbered(carried(product(6), held(applied)), held(applied))
    assert following is not None
    assert (following.version, following.image_key, following.image_of) == (7, KEY, None)


async def test_a_picture_that_failed_is_looked_at_again_with_the_shop_s_next_record_and_only_then() -> None:
    failed = await outcome(product(5), Reason.IMAGE_FETCH)
    assert failed is not None
    applied = with_outcome(failed, held(product(5)))
    assert applied is not None
    assert (applied.title, applied.image_problem) == ("Mug", Reason.IMAGE_FETCH)
    assert to_look_at([record_of(applied)]) == []
    following = numbered(carried(product(6, price=3.0), held(applied)), held(applied))
    assert following is not None
    assert following.image_problem is None
    assert to_look_at([record_of(following)]) == [following]


def record_of(p: CatalogProduct | None, key: bytes = b"p", offset: int = 0):
    return record(p.to_json() if p else None, topic="catalog", key=key, offset=offset)


def test_a_picture_is_looked_at_once_for_each_record_of_the_shop() -> None:
    first, second = product(1), product(2)
    assert to_look_at([record_of(first), record_of(second)]) == [second]
    assert to_look_at([record_of(first.model_copy(update={"image_of": first.place}))]) == []
    assert to_look_at([record_of(product(image=None)), record_of(None, b"q")]) == []
    assert to_look_at([record_of(first), record_of(None)]) == []
    assert to_look_at([record(b"{", topic="catalog"), record_of(second, b"q")]) == [second]


async def outcome(of: CatalogProduct, found: str | Reason) -> CatalogProduct | None:
    async def kept(_: ProductImage) -> str | Rejection:
        return Rejection(reason=found) if isinstance(found, Reason) else found

    return await told(of, kept)


async def test_intake_hears_of_what_changes_and_of_nothing_else() -> None:
    found = await outcome(product(5), KEY)
    assert found == product(5, image_key=KEY, image_of=(0, 5, 5))
    assert await outcome(product(6, image_key=KEY), KEY) is None
    again = await outcome(product(6, image_key=KEY, image_problem=Reason.IMAGE_FETCH), KEY)
    assert again == product(6, image_key=KEY, image_of=(0, 6, 6))


async def test_a_picture_that_cannot_be_fetched_now_stays_and_one_that_is_none_goes() -> None:
    before = product(6, image_key=KEY)
    assert await outcome(before, Reason.IMAGE_FETCH) == before.model_copy(
        update={"image_problem": Reason.IMAGE_FETCH, "image_of": before.place}
    )
    for reason in (Reason.IMAGE_DECODE, Reason.IMAGE_FORMAT, Reason.IMAGE_TOO_LARGE):
        gone = await outcome(before, reason)
        assert gone is not None
        assert (gone.image_key, gone.image_problem, gone.title) == (None, reason, "Mug")


def test_settings_say_what_may_be_fetched() -> None:
    assert fetch_rules(StreamSettings()).hosts == ()
    rules = fetch_rules(
        StreamSettings(
            picture_hosts="a.example, *.b.example",
            picture_schemes="https,http",
            picture_networks="10.0.0.0/8",
        )
    )
    assert (rules.hosts, rules.schemes, rules.networks) == (
        ("a.example", "*.b.example"),
        ("https", "http"),
        ("10.0.0.0/8",),
    )
    with pytest.raises(ValueError, match="picture_networks"):
        StreamSettings(picture_networks="10.0.0.1/8")
    StreamSettings(picture_hosts="cdn.münchen.example, *.b.example:8443, [fd00::1]:80, 10.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "https://a.example", "a.example/pictures", "a.example:port", "*", "a.*.example", "fd00::1",
        "u@a.example", "a b",
    ],
)  # fmt: skip
def test_a_host_that_no_address_can_have_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ValueError, match=r"picture_hosts\n.* is no host: cdn\.shop\.example"):
        StreamSettings(picture_hosts=host)


@pytest.mark.parametrize("at_once", [1, 2, 8, 256])
def test_a_dead_host_ends_no_membership(at_once: int) -> None:
    """Who is away from its group for ten minutes is taken for gone, and begins the same pictures again."""
    assert together(at_once) / min(at_once, together(at_once)) * FetchRules().seconds <= 200


def test_a_text_only_shop_loads_nothing_for_pictures() -> None:
    program = (
        "import sys, stream.__main__\n"
        "print([m for m in sys.modules if m.split('.')[0] in {'PIL', 'fsspec', 'media'}])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert said.stdout == "[]\n"
