"""New products in the answers of a searcher: who is new, pages, replays, rules, and what the event says."""

import time
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from retrieval.found import Found
from retrieval.live import Live
from retrieval.merchandising import RuleSet, SetRule
from retrieval.traits import Traits
from retrieval.word_schema import WordDocument
from schemas.rules import MerchandisingRule
from schemas.search import ScoredHit, SearchRequest
from schemas.settings import SearcherSettings
from searcher.answering import answer
from searcher.exploring import Explorer
from searcher.new_products import NewProducts
from searcher.shown import query_id_of, search_event

HITS = [
    ScoredHit(product_id=f"p{n:02}", rank=n + 1, score=1 - n / 100, parts={"dense": 1.0}) for n in range(60)
]
COMPETING = 40
OLD = 1000


class Shop:
    """As much of a release as answers; it remembers that p20 was taken."""

    generation, model_id = 3, "m"

    def __init__(self) -> None:
        self.release = self
        self.collection = "c"

    def embed_asked(self, requests: list[SearchRequest]) -> Any:
        return np.zeros((len(requests), 2), dtype=np.float32)

    def find(
        self, queries: list[str], vectors: object, k: int, *_: object, every: bool, **__: object
    ) -> Found:
        return Found([HITS if every else HITS[:k] for _ in queries], contenders=[COMPETING] * len(queries))

    def named(self, *_: object, **__: object) -> dict[str, ScoredHit]:
        return {}

    def engaged(self, product_id: str) -> bool:
        return product_id == "p20"


@pytest.fixture
def explorer() -> Explorer:
    made = Explorer(SearcherSettings(explore_share=0.3, explore_new_for=timedelta(days=2)))
    new = ["p15", "p20", "p30", "p55"]  # the last one does not compete
    made.products.take(
        [WordDocument(i, "t", traits=Traits(first_seen_ms=now_ms() - OLD)) for i in new], now_ms=now_ms()
    )
    return made


def now_ms() -> int:
    return int(time.time() * 1000)


def asked(explorer: Explorer | None, *rules: SetRule, **fields: object) -> Any:
    request = SearchRequest.model_validate(
        {"request_id": "r", "user_query": "mug", "explain": True, **fields}
    )
    live: Live[Any] = Live()
    live.swap(Shop())
    held = RuleSet()
    held.change({one.rule_id: one for one in rules})
    (found,) = answer(live, [request], timeout_s=5.0, rules=held, explorer=explorer)
    return found.response


def ids(response: Any) -> list[str]:
    return [h.product_id for h in response.hits]


def test_a_share_of_answers_shows_what_is_new_competes_and_was_never_taken(explorer: Explorer) -> None:
    drawn = set()
    for n in range(300):
        response = asked(explorer, request_id=f"r{n}", client_id="ann")
        chosen = [h for h in response.hits if h.explored is not None]
        drawn |= {h.product_id for h in chosen}
        assert [h.rank for h in response.hits] == list(range(1, 11))
        assert all(h.explored == 0.3 / 2 for h in chosen)
        again = asked(explorer, request_id=f"r{n}", client_id="ann")
        assert again.hits == response.hits
        if not chosen:
            assert ids(response) == ids(asked(None))
    assert drawn == {"p15", "p30"}


def test_without_a_share_nothing_changes() -> None:
    off = Explorer(SearcherSettings())
    off.products.take([WordDocument("p15", "t", traits=Traits(first_seen_ms=now_ms()))], now_ms=now_ms())
    assert all(ids(asked(off, request_id=f"r{n}")) == ids(asked(None)) for n in range(100))


def test_pages_of_one_search_fit_together_and_hold_every_product_once(explorer: Explorer) -> None:
    moved = 0
    for n in range(40):
        query = {"client_id": "ann", "query_id": f"q{n}"}
        pages = [
            i
            for at in range(0, 60, 7)
            for i in ids(asked(explorer, request_id=f"r{n}-{at}", k=7, offset=at, **query))
        ]
        assert sorted(pages) == [h.product_id for h in HITS]
        whole = ids(asked(explorer, request_id="whole", k=60, **query))
        assert pages == whole
        moved += whole != [h.product_id for h in HITS]
        first = SearchRequest.model_validate({"request_id": f"a{n}", "user_query": "mug", "client_id": "ann"})
        further = {"offset": 10, "query_id": query_id_of(first)}
        both = ids(asked(explorer, request_id=f"a{n}", client_id="ann")) + ids(
            asked(explorer, request_id="b", k=50, **further)
        )
        assert sorted(both) == sorted(pages)
        assert ids(asked(explorer, request_id=f"r{n}", k=7, offset=7)) == [h.product_id for h in HITS[7:14]]
    assert 4 < moved < 24


def test_rules_have_the_last_word(explorer: Explorer) -> None:
    def rule(action: str, *products: str) -> SetRule:
        body = {"rule_id": action, "action": action, "product_ids": products, "query": "mug"}
        return SetRule.of(MerchandisingRule.model_validate(body))

    chosen = set()
    for n in range(100):
        found = asked(explorer, rule("pin", "p50", "p51"), rule("hide", "p15"), request_id=f"r{n}", k=60)
        assert ids(found)[:2] == ["p50", "p51"]
        assert len(set(ids(found))) == 59
        chosen |= {h.product_id for h in found.hits if h.explored is not None}
    assert chosen == {"p30"}


def test_the_event_says_the_chance_and_that_the_place_was_not_earned(explorer: Explorer) -> None:
    for n in range(100):
        request = SearchRequest.model_validate(
            {"request_id": f"r{n}", "user_query": "mug", "client_id": "ann"}
        )
        response = asked(explorer, request_id=f"r{n}", client_id="ann").model_copy(
            update={"query_id": query_id_of(request)}
        )
        event = search_event(request, response, at_ms=5, key=b"k" * 32)
        assert event is not None
        assert event.placed == [h.object_id for h in event.hits if h.explored is not None]
        assert [h.explored for h in event.hits] == [h.explored for h in response.hits]


def test_new_is_what_was_first_seen_within_the_time_and_not_in_the_future() -> None:
    held = NewProducts(new_for_ms=100)
    times = {"a": 950, "b": 850, "c": 1100, "d": None}
    held.take([WordDocument(i, "t", traits=Traits(first_seen_ms=at)) for i, at in times.items()], now_ms=1000)
    assert [i for i in times if held.holds(i, now_ms=1000)] == ["a"]
    assert not held.holds("a", now_ms=1050)
    held.take([], now_ms=1e9)
    assert not held._since
