"""What is believed of a pair's clients: newcomers beside others count, made up ones for one pair do not."""

from collections import Counter
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.pairs import MAX_CLIENTS, Pair, client_of
from schemas.settings import TrainerSettings
from tests.trainer.builders import a_pair, weighed
from trainer.data.snapshot import CLIENT_SCHEMA, Snapshot, frames
from trainer.data.trust import MIN_SEEN, believed
from trainer.data.weights import Weighting, weigh

Bought = dict[tuple[str, str], list[str]]


def a_crowd(*, newcomers: float = 0.3, people: int = 400, queries: int = 20, seed: int = 1) -> Bought:
    """Shoppers of twenty queries with three products each.

    The given share of them engages once, the others four to nine times.
    """
    rng = np.random.default_rng(seed)
    pairs = list(product((f"q{n}" for n in range(queries)), range(3)))
    bought: Bought = {}
    for person in range(people):
        often = 1 if rng.random() < newcomers else int(rng.integers(4, 10))
        for n in rng.choice(len(pairs), often, replace=False):
            query, number = pairs[n]
            bought.setdefault((query, f"{query}-{number}"), []).append(f"person{person}")
    return bought


def fakes(count: int, name: str = "fake") -> list[str]:
    return [f"{name}{n}" for n in range(count)]


def shares(bought: Bought, *, deviations: float = 4.0) -> dict[tuple[str, str], float]:
    found = believed(_snapshot(bought).clients, deviations=deviations)
    return {(query, item): share for query, item, share in found.iter_rows()}


def _snapshot(bought: Bought) -> Snapshot:
    """Return what the stream would hold: of more clients than a pair keeps, the least hashes."""
    pairs = []
    for (query, item), people in bought.items():
        by_client = Counter(client_of(person) for person in people)
        kept = {client: 1000 * by_client[client] for client in sorted(by_client)[:MAX_CLIENTS]}
        pairs.append(
            Pair(
                query=query, product_id=item, days=a_pair(query, item, {100: len(people)}).days, clients=kept
            )
        )
    return frames(pairs, [])


@pytest.mark.parametrize("count", [10, 30, 60, 300])
def test_made_up_clients_of_one_pair_count_like_a_few_however_many_they_are(count):
    share = shares(a_crowd() | {("q0", "spam"): fakes(count)})["q0", "spam"]
    assert 0.8 < share * count < 6


def test_honest_shoppers_keep_nearly_all_they_gave_new_or_not():
    bought = a_crowd()
    found = shares(bought)
    assert sum(found[pair] * len(people) for pair, people in bought.items()) > 0.995 * sum(
        map(len, bought.values())
    )


def test_a_shop_where_everybody_comes_once_believes_everybody():
    assert set(shares(a_crowd(newcomers=1.0)).values()) == {1.0}


def test_the_more_newcomers_are_usual_the_more_of_them_a_pair_may_have():
    few, many = (
        shares(a_crowd(newcomers=share) | {("q0", "spam"): fakes(60)})["q0", "spam"] for share in (0.2, 0.9)
    )
    assert few < many


def test_a_little_other_activity_does_not_make_made_up_clients_honest():
    bought = a_crowd()
    bought["q0", "spam"] = fakes(60)
    bought["q1", "q1-0"] = bought.get(("q1", "q1-0"), []) + fakes(60)  # each also buys what many buy
    assert shares(bought)["q0", "spam"] * 60 < 15


def test_the_same_product_for_many_queries_is_no_other_activity():
    spread = {(f"q{n}", "spam"): fakes(60) for n in range(5)}
    assert all(shares(a_crowd() | spread)[pair] * 60 < 8 for pair in spread)


def test_one_newcomer_with_forty_orders_counts_like_one_with_a_few():
    assert shares(a_crowd() | {("q0", "spam"): ["fake"] * 40})["q0", "spam"] * 40 < 3


def test_many_attacks_at_once_do_not_make_made_up_clients_usual():
    attacks = {(f"q{n}", f"spam{n}"): fakes(60, f"fake-{n}-") for n in range(10)}
    assert all(shares(a_crowd() | attacks)[pair] * 60 < 8 for pair in attacks)


def test_newcomers_beside_broad_clients_are_believed():
    bought = a_crowd(newcomers=0.7)
    liked = max(bought, key=lambda pair: len(bought[pair]))
    broad = sum(
        any(person in others for pair, others in bought.items() if pair[0] != liked[0])
        for person in bought[liked]
    )
    bought[liked] = bought[liked] + fakes(broad // 4, "visitor")
    assert shares(bought)[liked] == 1.0


def test_where_little_is_known_nothing_is_unusual():
    assert set(shares({("q", "a"): fakes(MIN_SEEN - 1)}).values()) == {1.0}
    assert believed(pl.DataFrame(schema=CLIENT_SCHEMA), deviations=4.0).is_empty()


def test_the_weights_of_a_run_follow_and_one_setting_ends_it():
    snapshot = _snapshot(a_crowd() | {("q0", "spam"): fakes(60)})
    on, off = (
        weigh(
            snapshot.pairs,
            snapshot.clients,
            Weighting.of(TrainerSettings(weight_click=1.0, **own)),
            newest_day=100,
        ).filter(product_id="spam")
        for own in ({}, {"newcomer_deviations": 0})
    )
    assert off["credit"].item() == pytest.approx(60)
    assert on["credit"].item() < 6
    plain = weighed(snapshot)
    assert plain.filter(product_id="spam")["credit"].item() == pytest.approx(60)


@given(st.integers(0, 50), st.floats(0, 1), st.integers(1, 200))
def test_a_share_is_never_nothing_and_never_more_than_all(seed, newcomers, count):
    found = shares(a_crowd(seed=seed, newcomers=newcomers, people=80) | {("q0", "spam"): fakes(count)})
    assert all(0 < share <= 1 for share in found.values())
