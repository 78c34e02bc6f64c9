"""What a searcher makes of the records of the catalogue, and that it follows them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from retrieval.words import WordIndex
from schemas.products import CatalogProduct
from schemas.settings import SearcherSettings
from schemas.topics import CATALOG
from searcher.catalog_words import CatalogWords, sorted_out
from searcher.new_products import NewProducts


def product(product_id: str, title: str, version: int = 1) -> CatalogProduct:
    return CatalogProduct(product_id=product_id, title=title, version=version)


def records(*products: CatalogProduct | str | bytes) -> list[Record]:
    """A text deletes, bytes are what nobody can read."""
    found = []
    for offset, one in enumerate(products):
        key, value = (
            (one.product_id.encode(), one.to_json())
            if isinstance(one, CatalogProduct)
            else (one.encode(), None)
            if isinstance(one, str)
            else (b"x", one)
        )
        found.append(replace(EMPTY, offset=offset, key=key, value=value))
    return found


EMPTY = Record(topic="catalog", partition=0, offset=0, key=b"", value=b"", headers=(), timestamp_ms=0)


def held(*batches: Sequence[Record]) -> dict[str, int | None]:
    words = WordIndex("english")
    for batch in batches:
        words.change(*sorted_out(batch, words.version))
    return {i: words.version(i) for i in ("a", "b") if i in words}


def test_the_newest_version_counts_in_one_batch_and_over_several():
    log = records(product("a", "one", 2), product("a", "old", 1), product("b", "two", 1), "b")
    assert held(log) == {"a": 2} == held(log[:1], log[1:2], log[2:3], log[3:]) == held(log, log)


def test_what_is_created_again_after_a_deletion_may_begin_at_any_version():
    log = records(product("a", "one", 9), "a", product("a", "again", 1))
    assert held(log) == {"a": 1} == held(log[:1], log[1:], ())


def test_what_cannot_be_read_changes_nothing():
    assert held(records(product("a", "one"), b"{", b"\xff", b"null", b'{"product_id": "a"}')) == {"a": 1}
    wrong_key = replace(records(product("b", "two"))[0], key=b"other")
    assert held(records(product("a", "one")), [wrong_key, replace(wrong_key, key=None)]) == {"a": 1}


@pytest.mark.broker
async def test_the_words_are_whole_when_they_are_handed_out_and_follow_then(
    settings_env: Callable[..., dict[str, str]],
):
    settings = SearcherSettings.load(settings_env(partitions=3))
    await ensure_topics(settings)
    topic, stopping, new = settings.topic(CATALOG.name), asyncio.Event(), NewProducts(new_for_ms=1e15)
    words = CatalogWords(settings, new)

    async with open_producer(settings) as producer, asyncio.timeout(120):

        async def send(product_id: str, value: bytes | None) -> None:
            await producer.send(Outgoing(topic, value, key=product_id.encode()))

        for n in range(50):
            await send(f"p{n}", product(f"p{n}", f"thing number{n}").to_json())
        following = asyncio.create_task(words.follow(stopping))
        bare = words.without_texts()
        assert not bare.complete
        english = await words.of("english")
        assert english.complete
        assert (len(english), list(english.best("number7", 3))) == (50, ["p7"])
        assert await words.of("english") is english
        assert len(await words.of("german")) == 50
        await send("p7", None)
        await send("p8", product("p8", "a new thing", 2).model_copy(update={"first_seen_ms": 5}).to_json())
        while "p7" in english or english.best("number8", 3) or len(bare) != 49:  # noqa: ASYNC110 (another thread fulfils it)
            await asyncio.sleep(0.05)
        assert len(english) == 49
        assert bare.complete
        assert (bare.named("P-8"), bare.named("p7"), bare.best("a new thing", 9)) == ({"p8": 0.5}, {}, {})
        assert [new.holds(i, now_ms=6) for i in ("p8", "p9")] == [True, False]
        stopping.set()
        await following
        assert await words.of("english") is english
        assert len(await words.of("french")) == 0  # who asks after the end does not wait for ever
