"""A small run of the attribution benchmark, and the usual joins on a case made for them."""

import json
import random
import time
from types import SimpleNamespace
from typing import Any

from benchmarks.attribution import measure
from benchmarks.exactness.reference import reference
from benchmarks.exactness.usual_joins import JOINS
from schemas.settings import StreamSettings
from tests.flows.reference import Raw, expected_pairs
from tests.stream.builders import DAY, MINUTE, act, search


def test_ours_finds_the_true_search_and_is_ahead_of_the_usual_joins():
    found = measure(seed=4, events=3000)
    assert found["decidable"] > 100
    assert found["precision"]["ours"] >= 0.98
    assert found["recall"]["ours"] >= 0.95
    for name in JOINS:
        assert found["recall"]["ours"] > found["recall"][name]
    assert found["precision"]["ours"] > max(
        found["precision"]["query_id_join"], found["precision"]["last_search"]
    )


def test_each_usual_join_looks_at_what_it_is_named_after():
    events = [
        search("q1", "mug", ["p1"], session="s"),
        search("q2", "lamp", ["p2"], at=MINUTE, session="s"),
        act("purchase", "p1", at=2 * MINUTE, order="o1", query_id="q2", session="s"),
        act("purchase", "p1", at=DAY, order="o2", query_id="gone", session="t"),
    ]
    first, second = ("o1", "p1"), ("o2", "p1")
    assert JOINS["query_id_join"](events) == {first: "lamp"}
    assert JOINS["last_search"](events) == {first: "lamp", second: "lamp"}
    assert JOINS["session_30min"](events) == {first: "mug"}


def test_the_reference_and_the_stream_agree_on_what_rules_had_placed():
    now_ms, products = int(time.time() * 1000), [f"p{n}" for n in range(4)]

    def body(rng: random.Random, number: int) -> tuple[str, dict[str, Any]]:
        at = {"event_id": f"e{number}", "client_id": "ann", "timestamp": now_ms - rng.randrange(9) * MINUTE}
        named = at | {"query_id": f"q{rng.randrange(3)}"}
        if rng.random() < 0.4:
            hits = [{"object_id": p, "rank": n + 1} for n, p in enumerate(rng.sample(products, 3))]
            placed = rng.sample(products, rng.randrange(3))
            return "searches", named | {"user_query": rng.choice("ab"), "hits": hits, "placed": placed}
        action = rng.choice(["click", "view", "add_to_cart", "remove_from_cart", "purchase"])
        item = {"object_id": rng.choice(products), "quantity": 2, "unit_price": 1.5}
        return "interactions", (named if rng.random() < 0.7 else at) | {
            "action_name": action,
            "items": [item],
        }

    placed = 0
    for seed in range(100):
        bodies = [body(random.Random(f"{seed}-{n}"), n) for n in range(12)]
        records = [
            SimpleNamespace(
                topic_name=topic, value=json.dumps(b).encode(), truth=SimpleNamespace(outcome="accepted")
            )
            for topic, b in bodies
        ]
        days, clients = reference(records)  # type: ignore[arg-type] # as much of a record as it reads
        raw = [Raw(r.topic_name, b"k", r.value) for r in records]
        expected = expected_pairs(raw, StreamSettings())
        pairs = [p for p in expected.values() if p.days]
        assert {(p.query, p.product_id): p.days for p in pairs} == days, seed
        assert {(p.query, p.product_id): sum(p.clients.values()) for p in pairs} == {
            pair: sum(own.values()) for pair, own in clients.items()
        }
        unruled = [Raw(t, b"k", json.dumps(b | {"placed": []}).encode()) for t, b in bodies]
        placed += expected_pairs(unruled, StreamSettings()) != expected
    assert placed > 25
