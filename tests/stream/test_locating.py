from schemas.rejections import Reason, Rejection
from stream.known import KnownProducts
from stream.locating import has_unknown, locate_interaction, locate_search
from stream.versions import Held
from tests.stream.builders import act, search


def catalog():
    known = KnownProducts()
    known.put("p1", Held(1), ["sku-1", "sku-2"])
    return known


def test_variants_become_their_product_and_what_was_shown_is_shown_once():
    assert locate_search(search("q", "mug", ["sku-1", "nowhere", "sku-2"]), catalog()).shown == [
        "p1",
        "nowhere",
    ]


def test_what_a_rule_placed_is_named_as_its_product():
    ruled = search("q", "mug", ["sku-1", "nowhere"], placed=["sku-1", "nowhere"])
    assert locate_search(ruled, catalog()).placed == ["p1", "nowhere"]
    assert locate_search(search("q", "mug", ["p1"], placed=["p1"]), catalog()).placed == ["p1"]


def test_lines_of_unknown_products_are_dropped_and_an_interaction_without_any_is_refused():
    bought = locate_interaction(act("purchase", ["sku-2", "nowhere"]), catalog())
    assert [line.product_id for line in bought.lines] == ["p1"]
    refused = locate_interaction(act("click", "nowhere"), catalog())
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.UNKNOWN_PRODUCT


def test_an_empty_catalogue_refuses_nothing():
    click = act("click", "nowhere")
    assert locate_interaction(click, KnownProducts()) is click
    assert has_unknown([click], KnownProducts())
    assert not has_unknown([act("click", "sku-1"), search("q", "mug", ["nowhere"])], catalog())
