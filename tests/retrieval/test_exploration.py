"""Which new product stands where in a drawn answer."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.exploration import FIRST, drawn, explored
from schemas.search import HitRule, RuleAction, ScoredHit

HITS = [ScoredHit(product_id=f"p{n:02}", rank=n + 1, score=1 - n / 100) for n in range(40)]
ALL = {h.product_id for h in HITS}
NEW = {"p03", "p15", "p22", "p30", "p39"}
SHARE = 0.2


def ids(hits: list[ScoredHit]) -> list[str]:
    return [h.product_id for h in hits]


def ruled(hit: ScoredHit, action: RuleAction) -> ScoredHit:
    return hit.model_copy(update={"rule": HitRule(rule_id="r", action=action, placed=True)})


def once(seed: str, hits: list[ScoredHit] = HITS, competing: set[str] = ALL) -> list[ScoredHit]:
    return explored(hits, competing, NEW.__contains__, seed=seed, share=SHARE)


def test_as_many_answers_are_drawn_as_the_share_says_and_none_at_0() -> None:
    assert sum(drawn(f"q{n}", SHARE) for n in range(5000)) == pytest.approx(1000, abs=120)
    assert not any(drawn(f"q{n}", 0.0) for n in range(5000))


def test_each_new_product_that_competes_gets_each_place_as_often_and_says_its_chance() -> None:
    shown, places = Counter[str](), Counter[int]()
    for n in range(4000):
        found = once(f"q{n}")
        (one,) = [h for h in found[:FIRST] if h.explored is not None]
        assert one.explored == SHARE / 4
        shown[one.product_id] += 1
        places[found.index(one)] += 1
    assert shown.keys() == NEW - {"p03"}  # it stands among the first by itself
    assert min(shown.values()) > 900
    assert sorted(places) == list(range(FIRST))
    assert min(places.values()) > 320


@given(st.text(), st.sets(st.sampled_from(sorted(ALL))))
def test_nothing_is_lost_or_moved_but_the_one_and_the_same_seed_says_the_same(
    seed: str, competing: set[str]
) -> None:
    found = once(seed, competing=competing)
    assert found == once(seed, competing=competing)
    chosen = [h.product_id for h in found if h.explored is not None]
    assert len(chosen) == bool(competing & (NEW - {"p03"}))
    assert set(chosen) <= competing & NEW
    assert [i for i in ids(found) if i not in chosen] == [i for i in ids(HITS) if i not in chosen]


def test_which_product_it_is_changes_little_when_another_competes() -> None:
    before = {s: next(h.product_id for h in once(s) if h.explored) for s in map(str, range(200))}
    fewer = {s: next(h.product_id for h in once(s, competing=ALL - {"p39"}) if h.explored) for s in before}
    assert all(fewer[s] == was for s, was in before.items() if was != "p39")


def test_what_is_pinned_keeps_its_place_and_what_another_rule_changed_is_not_chosen() -> None:
    pinned = [ruled(h, RuleAction.PIN) for h in HITS[:3]] + HITS[3:]
    for n in range(200):
        found = once(f"q{n}", pinned)
        assert ids(found)[:3] == ids(HITS)[:3]
        assert [h.explored is not None for h in found[:FIRST]].count(True) == 1
    full = [ruled(h, RuleAction.PIN) for h in HITS[:FIRST]] + HITS[FIRST:]
    assert once("q", full) == full
    boosted = [ruled(h, RuleAction.BOOST) if h.product_id in NEW else h for h in HITS]
    assert once("q", boosted) == boosted


def test_a_query_that_names_a_product_and_answers_without_newcomers_stay_as_they_are() -> None:
    named = [h.model_copy(update={"parts": {"identifier": 0.0}}) for h in HITS]
    assert once("q", named) == named
    assert explored(HITS, ALL, lambda _: False, seed="q", share=SHARE) == HITS
    assert once("q", HITS[:FIRST]) == HITS[:FIRST]
    assert once("q", []) == []
