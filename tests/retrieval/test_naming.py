"""Collection names belong to one deployment each."""

import re

from hypothesis import given
from hypothesis import strategies as st

from retrieval.naming import collection_name, collection_prefix, earlier_prefix, is_generation_name

PREFIXES = st.text("aB1._-", max_size=8)
DEPLOYMENTS = st.text("aB1._-", min_size=1, max_size=8)


@given(st.tuples(PREFIXES, DEPLOYMENTS), st.tuples(PREFIXES, DEPLOYMENTS))
def test_no_two_deployments_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = collection_prefix(*one), collection_prefix(*other)
    assert (first == second) == (one == other)
    assert is_generation_name(collection_name(first, 7), second) == (one == other)


def test_prefixes_that_looked_alike_are_told_apart() -> None:
    """They shared their names, and whoever started last dropped the other's collections."""
    prefixes = ("shop-a.", "shop_a.", "shop.a.", "shop_a", "shop-a-")
    assert {earlier_prefix(p, "main") for p in prefixes} == {"shop_a_main"}
    assert len({collection_prefix(p, "main") for p in prefixes}) == len(prefixes)


@given(st.text("aé1._- ", max_size=300), st.text("aé1._- ", min_size=1, max_size=300))
def test_a_name_is_one_that_a_server_takes(topic_prefix: str, deployment: str) -> None:
    name = collection_name(collection_prefix(topic_prefix, deployment), 7)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", name)


def test_the_default_keeps_its_collections() -> None:
    assert (
        collection_prefix("searchloop.", "main") == earlier_prefix("searchloop.", "main") == "searchloop_main"
    )
