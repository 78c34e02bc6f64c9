import dataclasses
from dataclasses import replace
from itertools import permutations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from credit.attribution import attribute
from credit.shopper import Shopper, shopper_from_bytes, supersedes
from schemas.events import Tick
from tests.stream.builders import DAY, HOUR, MINUTE, RULES, T0, act, credited, net, run, search

MUGS = search("q1", "mug", ["p1", "p2"])


def test_a_purchase_that_names_a_search_which_showed_it_earns_the_whole_credit():
    assert credited([MUGS, act("purchase", "p1", at=HOUR * 30, query_id="q1")]) == {
        ("mug", "p1", "purchase"): 1000
    }


def test_a_search_whose_list_is_unknown_is_believed():
    assert credited([search("q1", "mug"), act("click", "p9", at=1, query_id="q1")]) == {
        ("mug", "p9", "click"): 1000
    }


def test_what_a_rule_placed_earns_nothing_for_the_search_that_showed_it_there_nor_for_any_other():
    before = search("q0", "cup", ["p1", "p2"])
    ruled = search("q1", "mug", ["p1", "p2"], at=MINUTE, placed=["p1"])
    for named in ("q1", None):
        for action in ("click", "view", "add_to_cart", "purchase"):
            events = [before, ruled, act(action, "p1", at=2 * MINUTE, query_id=named, query=named and "mug")]
            for order in permutations(events):
                assert net(run(order)[1]) == {}
        click = act("click", "p1", at=2 * MINUTE, query_id=named)
        assert credited([before, ruled, click, act("purchase", "p1", at=DAY)]) == {}
    own = act("click", "p2", at=2 * MINUTE, query_id="q1")  # beside it
    assert credited([before, ruled, own]) == {("mug", "p2", "click"): 1000}
    earlier = act("click", "p1", at=30_000, query_id="q0")
    assert credited([before, earlier, ruled]) == {("cup", "p1", "click"): 1000}


def test_a_placed_product_is_placed_whichever_record_of_its_search_says_so():
    """A page of the shop may send the same search again, and does not know of the rule."""
    told = search("q1", "mug", ["p1", "p2"], placed=["p1"], event_id="a")
    again = search("q1", "mug", ["p1", "p2", "p3"], at=1, event_id="b")
    clicks = [act("click", p, at=MINUTE, query_id="q1") for p in ("p1", "p3")]
    for order in permutations([told, again, *clicks]):
        assert credited(order) == {("mug", "p3", "click"): 1000}


def test_what_was_placed_stays_uncredited_when_its_search_is_forgotten():
    ruled = search("q1", "mug", ["p1"], placed=["p1"])
    click = act("click", "p1", at=MINUTE, query_id="q1", query="mug")
    others = [search(f"x{n}", "tea", ["p1"], at=MINUTE + 1 + n) for n in range(RULES.max_searches + 1)]
    again = act("click", "p1", at=HOUR - MINUTE, event_id="later", query_id="x1")
    state, contributions = run([ruled, click, *others, again])
    assert "q1" not in state.searches
    assert {q for (q, *_), counts in net(contributions).items()} <= {"tea"}
    assert shopper_from_bytes(state.to_bytes()).searches == state.searches


def test_a_stale_query_id_falls_through_to_the_click_that_led_to_the_purchase():
    events = [
        search("q1", "mug", ["p1"]),
        act("click", "p1", at=MINUTE, query_id="q1"),
        search("q2", "lamp", ["p7"], at=2 * MINUTE),
        act("purchase", "p1", at=DAY, query_id="q2"),
    ]
    assert credited(events) == {("mug", "p1", "click"): 1000, ("mug", "p1", "purchase"): 800}


def test_a_cart_comes_before_a_later_click():
    events = [
        search("q1", "mug", ["p1"]),
        search("q2", "cup", ["p1"], at=MINUTE),
        act("add_to_cart", "p1", at=2 * MINUTE, query_id="q1"),
        act("click", "p1", at=3 * MINUTE, query_id="q2"),
        act("purchase", "p1", at=4 * HOUR),
    ]
    assert credited(events)["mug", "p1", "purchase"] == 1000
    assert ("cup", "p1", "purchase") not in credited(events)


def test_the_latest_credited_touch_wins():
    events = [
        search("q1", "mug", ["p1"]),
        search("q2", "cup", ["p1"], at=MINUTE),
        act("click", "p1", at=2 * MINUTE, query_id="q2"),
        act("click", "p1", at=3 * MINUTE, query_id="q1"),
        act("click", "p1", at=4 * MINUTE, query_id="gone"),
        act("purchase", "p1", at=4 * HOUR),
    ]
    # The click without a known search is credited to the latest search that showed the product.
    assert credited(events)["cup", "p1", "purchase"] == 800
    assert credited([*events[:4], events[5]])["mug", "p1", "purchase"] == 800


def test_a_repeated_click_counts_once_but_is_the_latest_touch():
    events = [
        search("q1", "mug", ["p1"]),
        search("q2", "cup", ["p1"], at=MINUTE),
        act("click", "p1", at=2 * MINUTE, query_id="q1"),
        act("click", "p1", at=3 * MINUTE, query_id="q2"),
        act("click", "p1", at=4 * MINUTE, query_id="q1"),
        act("purchase", "p1", at=5 * MINUTE),
    ]
    assert credited(events) == {
        ("mug", "p1", "click"): 1000,
        ("cup", "p1", "click"): 1000,
        ("mug", "p1", "purchase"): 800,
    }


def test_a_purchase_without_touch_belongs_to_the_session_only():
    assert credited([MUGS, act("purchase", "p1", at=29 * MINUTE)]) == {("mug", "p1", "purchase"): 300}
    assert credited([MUGS, act("purchase", "p1", at=31 * MINUTE)]) == {}
    other = search("q1", "mug", ["p1"], session="a")
    assert credited([other, act("purchase", "p1", at=MINUTE, session="b")]) == {}


def test_an_unverifiable_query_id_with_its_query_earns_a_little_until_the_search_is_seen():
    click = act("click", "p1", at=MINUTE, query_id="q1", query="mug")
    assert credited([click]) == {("mug", "p1", "click"): 300}
    assert credited([click, MUGS]) == {("mug", "p1", "click"): 1000}
    assert credited([click, search("q1", "mug", ["p5"])]) == {}


def test_a_click_after_the_window_earns_nothing():
    assert credited([MUGS, act("click", "p1", at=HOUR + 1, query_id="q1")]) == {}


def test_a_search_later_than_the_purchase_earns_nothing():
    assert credited([act("purchase", "p1"), search("q1", "mug", ["p1"], at=MINUTE)]) == {}


def test_a_late_search_still_earns_its_purchase():
    click, purchase = act("click", "p1", at=MINUTE, query_id="q1"), act("purchase", "p1", at=DAY)
    assert credited([purchase, click, MUGS]) == credited([MUGS, click, purchase])


def test_a_removed_cart_earns_nothing_and_leads_to_nothing():
    cart, removal = (
        act("add_to_cart", "p1", at=MINUTE, query_id="q1"),
        act("remove_from_cart", "p1", at=2 * MINUTE),
    )
    assert credited([MUGS, cart, removal, act("purchase", "p1", at=HOUR)]) == {}
    again = act("add_to_cart", "p1", at=3 * MINUTE, query_id="q1")
    assert credited([MUGS, cart, removal, again]) == {("mug", "p1", "add_to_cart"): 1000}


def test_a_removal_after_the_purchase_takes_nothing_back():
    cart, purchase = act("add_to_cart", "p1", at=MINUTE, query_id="q1"), act("purchase", "p1", at=2 * MINUTE)
    removal = act("remove_from_cart", "p1", at=3 * MINUTE)
    assert credited([MUGS, cart, purchase, removal]) == credited([removal, MUGS, cart, purchase])
    assert credited([MUGS, cart, purchase, removal])["mug", "p1", "add_to_cart"] == 1000


def test_a_refund_takes_back_its_units_and_a_full_one_leaves_no_trace():
    purchase = act("purchase", "p1", at=MINUTE, query_id="q1", order="o", units=3, price=250)
    part = act("refund", "p1", at=DAY, order="o", units=1, event_id="r1")
    rest = act("refund", "p1", at=DAY, order="o", units=2, event_id="r2")
    kept = list(net(run([MUGS, purchase, part])[1]).values())
    assert kept == [(666, 2, 500)]
    assert net(run([MUGS, purchase, part, rest])[1]) == {}
    assert net(run([rest, part, purchase, MUGS])[1]) == {}


def test_an_order_that_is_sent_twice_counts_once():
    purchase = act("purchase", ["p1", "p1"], at=MINUTE, query_id="q1", order="o", price=100)
    again = msgspec.structs.replace(purchase, event_id="another", at_ms=purchase.at_ms + 5)
    assert net(run([MUGS, again, purchase])[1]) == net(run([MUGS, purchase])[1])
    assert next(iter(net(run([MUGS, purchase])[1]).values())) == (2000, 2, 200)


def test_a_replayed_position_returns_the_same_state_and_nothing():
    state, _ = run([MUGS])
    same, nothing = attribute(state, act("click", "p1", query_id="q1"), 0, state.fence, RULES)
    assert same is state
    assert nothing == []


def test_a_tick_and_an_impression_earn_nothing_and_move_the_fence():
    state, nothing = run([Tick(at_ms=T0), act("impression", "p1", query_id="q1")])
    assert nothing == []
    assert state.fence == (1, 0)


def test_what_is_forgotten_stays_earned_and_a_late_event_is_counted():
    state, earned = run([MUGS, act("click", "p1", at=1, query_id="q1"), act("click", "p8", at=30 * DAY)])
    assert list(state.searches) == []
    assert [t.product for t in state.touches.values()] == ["p8"]
    after, nothing = run([act("click", "p1", at=1, query_id="q1")], state=state)
    assert nothing == []
    assert after.late == 1
    assert len(earned) == 1


def test_a_busy_shopper_is_bounded_and_repeats_of_the_forgotten_do_not_count_again():
    rules = dataclasses.replace(RULES, max_touches=5)
    clicks = [act("click", f"p{n}", at=n, query_id="q1") for n in range(40)]
    state, earned = run([search("q1", "mug", at=-1), *clicks], rules)
    assert len(state.touches) == 5
    assert state.evicted == 35
    assert len(earned) == 40
    after, nothing = run(clicks, rules, state)
    assert nothing == []
    assert after.late == 35


def test_a_burst_earns_nothing_also_what_came_before_it_was_one_and_leads_to_no_purchase():
    rules = replace(RULES, max_touches_per_minute=5)
    seen = search("q1", "mug", [f"p{n}" for n in range(9)])
    calm = [act("click", f"p{n}", at=MINUTE + n, query_id="q1") for n in range(5)]
    assert len(credited([seen, *calm], rules)) == 5
    burst = [*calm, act("click", "p5", at=MINUTE + 6, query_id="q1")]
    later = [
        act("click", "p0", at=3 * MINUTE, query_id="q2"),
        search("q2", "cup", ["p0"], at=2 * MINUTE),
        act("purchase", "p1", at=40 * MINUTE),
    ]
    for order in (burst, burst[::-1]):
        assert credited([seen, *order], rules) == {}
        assert credited([seen, *order, *later], rules) == {("cup", "p0", "click"): 1000}


def test_a_robot_costs_little_and_its_minutes_take_credit_from_nobody():
    rules = replace(RULES, max_touches_per_minute=20)
    events = [search("q1", "mug", [f"p{n}" for n in range(400)])]
    events += [act("click", f"p{n % 400}", at=MINUTE + 40 * n, query_id="q1") for n in range(2000)]
    state, found = run(events, rules)
    assert len(state.touches) <= rules.max_touches
    assert sum(c.credit for c in found) <= 21 * 1000


def test_searches_are_bounded_by_number():
    state, _ = run(
        [search(f"x{n}", "mug", at=n) for n in range(10)], dataclasses.replace(RULES, max_searches=3)
    )
    assert list(state.searches) == ["x7", "x8", "x9"]


def test_two_clicks_that_name_no_search_count_once_for_the_search_they_belong_to():
    clicks = [act("click", "p1", at=n * MINUTE) for n in (1, 2)]
    assert credited([MUGS, *clicks]) == {("mug", "p1", "click"): 800}


def test_a_refund_falls_on_one_line_of_its_order_and_not_on_each():
    purchase = act("purchase", ["p1", "p1"], at=MINUTE, query_id="q1", order="o")
    assert credited([MUGS, purchase, act("refund", "p1", at=DAY, order="o")]) == {
        ("mug", "p1", "purchase"): 1000
    }


def test_a_refund_after_its_search_was_forgotten_still_sums_to_zero():
    rules = dataclasses.replace(RULES, max_searches=1)
    purchase = act("purchase", "p1", at=1, query_id="q1", order="o", units=2)
    half, full = (act("refund", "p1", at=9, order="o", units=1, event_id=f"r{n}") for n in range(2))
    events = [MUGS, purchase, search("q2", "lamp", ["p3"], at=3), half]
    assert credited(events, rules) == {("mug", "p1", "purchase"): 500}
    assert credited([*events, full], rules) == {}


def test_the_stored_form_gives_the_same_state_back():
    events = [
        MUGS,
        act("click", "p1", at=1, query_id="q1"),
        act("purchase", "p1", at=2, order="o"),
        act("refund", "p2", at=3, order="o"),
    ]
    state, _ = run(events)
    assert shopper_from_bytes(state.to_bytes()) == state
    assert shopper_from_bytes(Shopper().to_bytes()) == Shopper()


def test_recovery_keeps_the_greater_fence():
    old, new = run([MUGS])[0].to_bytes(), run([MUGS, MUGS])[0].to_bytes()
    assert supersedes(new, old)
    assert supersedes(old, old)
    assert not supersedes(old, new)


PRODUCTS = st.sampled_from(["p1", "p2", "p3"])
QUERY_IDS = st.sampled_from(["q1", "q2", "q3", None])
# Few distinct times, so that ties are tested; all inside the lateness.
TIMES = st.integers(0, 50).map(lambda n: n * MINUTE)


@st.composite
def _event(draw, number):
    at, event_id = draw(TIMES), f"e{number}"
    kind = draw(
        st.sampled_from(["search", "click", "view", "add_to_cart", "remove_from_cart", "purchase", "refund"])
    )
    if kind == "search":
        query_id = draw(st.sampled_from(["q1", "q2", "q3"]))
        shown = draw(st.lists(PRODUCTS, max_size=3, unique=True))
        placed = draw(st.lists(PRODUCTS, max_size=1))
        query = draw(st.sampled_from(["mug", "cup"]))
        return search(query_id, query, shown, at=at, event_id=event_id, placed=placed)
    query_id = draw(QUERY_IDS)
    order = draw(st.sampled_from(["o1", "o2"])) if kind in {"purchase", "refund"} else None
    query = draw(st.sampled_from([None, "tea"]))
    products = draw(st.lists(PRODUCTS, min_size=1, max_size=2))
    units = draw(st.integers(1, 3))
    return act(
        kind,
        products,
        at=at,
        event_id=event_id,
        query_id=query_id,
        query=query,
        order=order,
        units=units,
        price=199,
    )


@st.composite
def _histories(draw):
    return [draw(_event(n)) for n in range(draw(st.integers(1, 14)))]


@settings(max_examples=300, deadline=None)
@given(
    _histories(),
    st.randoms(use_true_random=False),
    st.sampled_from([RULES, replace(RULES, max_touches_per_minute=1)]),
)
def test_order_and_repetition_do_not_change_what_is_earned(history, random, rules):
    shuffled = history + random.sample(history, random.randrange(len(history) + 1))
    random.shuffle(shuffled)
    assert net(run(shuffled, rules)[1]) == net(run(history, rules)[1])


@settings(max_examples=150, deadline=None)
@given(_histories())
def test_refunding_everything_leaves_no_purchase(history):
    last = 51 * MINUTE
    refunds = [
        act("refund", [p] * 40, at=last, order=o, units=3, event_id=f"r-{o}-{p}")
        for o in ("o1", "o2")
        for p in ("p1", "p2", "p3")
    ]
    assert {k for k in net(run([*history, *refunds])[1]) if k[2] == "purchase"} == set()


@settings(max_examples=150, deadline=None)
@given(_histories())
def test_a_line_is_credited_to_one_query_at_most(history):
    _, contributions = run(history)
    lines = {}
    for event in history:
        if getattr(event, "action", None) == "purchase":
            counts = {}
            for line in event.lines:
                n = counts[line.product_id] = counts.get(line.product_id, -1) + 1
                lines[event.order_id, line.product_id, n] = 1
    for product in ("p1", "p2", "p3"):
        total = sum(v[0] for k, v in net(contributions).items() if k[1] == product and k[2] == "purchase")
        assert 0 <= total <= 1000 * sum(1 for key in lines if key[1] == product)


@settings(max_examples=100, deadline=None)
@given(_histories(), st.data())
def test_storing_and_loading_the_state_changes_nothing(history, data):
    cut = data.draw(st.integers(0, len(history)))
    state, first = run(history[:cut])
    _, second = run(history[cut:], state=shopper_from_bytes(state.to_bytes()))
    assert [*first, *second] == run(history)[1]


def test_a_contribution_says_where_it_comes_from():
    _, [earned] = attribute(run([MUGS])[0], act("click", "p1", query_id="q1"), 5, (9, 2), RULES)
    assert (earned.source, earned.position) == (5, (9, 2, 0))
