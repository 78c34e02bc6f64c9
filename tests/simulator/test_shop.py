"""The simulated shop as a whole: seeded, valid, and true to what it says about itself."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from schemas.events import Action, Interaction, Search
from schemas.products import Product
from schemas.text import normalise_query
from simulator.assortment import generate
from simulator.intents import Demand
from simulator.shop import WEEK, Shop
from simulator.shop_records import Kind

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODELS = {"searches": Search, "interactions": Interaction, "products": Product}


def make_shop(seed=7, **changes):
    return Shop(
        seed,
        **({"end": END, "products": 300, "shoppers": 60, "weeks": 3, "sessions_per_week": 150} | changes),
    )


@pytest.fixture(scope="module")
def shop():
    return make_shop()


@pytest.fixture(scope="module")
def records(shop):
    return [*shop.products(), *shop.all_events()]


def test_the_same_seed_is_the_same_shop_whatever_is_asked_first(records):
    again = make_shop()
    again.qrels("anything")
    again.queries(2, 5)
    last_first = {week: list(again.events(week)) for week in (2, 1, 0)}
    assert [*again.products(), *last_first[0], *last_first[1], *last_first[2]] == records


def test_another_seed_is_another_shop(records):
    assert [*make_shop(seed=8).all_events()][:50] != [r for r in records if r.topic_name != "products"][:50]


def test_a_shop_needs_an_end_with_a_zone():
    with pytest.raises(ValueError, match="zone"):
        make_shop(end=datetime(2026, 3, 1))  # noqa: DTZ001 the naive time is what is tested


def test_records_come_in_order_of_arrival_and_within_the_weeks(shop):
    events = list(shop.all_events())
    assert [r.arrives_at for r in events] == sorted(r.arrives_at for r in events)
    assert shop.start + 3 * WEEK == shop.end
    assert all(shop.start <= r.occurred_at <= shop.end and r.arrives_at <= shop.end for r in events)
    late = [r for r in events if r.arrives_at - r.occurred_at > timedelta(seconds=10)]
    assert 0 < len(late) < len(events) * 0.05


def test_weeks_beyond_the_history_are_empty(shop):
    assert list(shop.events(-1)) == list(shop.events(3)) == []


def test_every_accepted_record_fits_its_schema(records):
    for record in records:
        if record.truth.reason is None and record.value is not None:
            message = MODELS[record.topic_name].from_json(record.value)
            if isinstance(message, Product):
                assert message.product_id.encode() == record.key
            else:
                assert message.timestamp.tzinfo is not None
                assert message.client_id.encode() == record.key


def test_what_a_clean_record_says_is_what_its_truth_says(records):
    for record in records:
        if record.topic_name == "searches" and record.truth.kind is Kind.CLEAN:
            search = Search.from_json(record.value)
            assert normalise_query(search.user_query) == record.truth.query
            assert 0 < len(search.shown()) <= 20
        elif record.truth.action in {"purchase", "refund"}:
            order = Interaction.from_json(record.value)
            assert order.order_id == record.truth.order_id
            assert [item.object_id for item in order.items] == [
                line.product_id for line in record.truth.lines
            ]
        elif record.truth.action is not None:
            assert record.truth.action in set(Action)
            attributes = Interaction.from_json(record.value).event_attributes
            assert [attributes.object.object_id] == [line.product_id for line in record.truth.lines]


def test_the_true_query_of_every_interaction_showed_its_product(records):
    shown = {
        s.query_id: (r.truth.query, s.shown())
        for r in records
        if r.truth.query
        for s in [Search.from_json(r.value)]
    }
    lines = [(r, line) for r in records for line in r.truth.lines if line.query_id]
    known = [(r, line) for r, line in lines if line.query_id in shown]
    assert len(known) > 0.95 * len(lines)
    for _, line in known:
        query, products = shown[line.query_id]
        assert query == line.query
        assert line.product_id in products


def test_every_purchase_follows_a_cart_of_its_shopper_and_refunds_follow_purchases(records):
    first = defaultdict(lambda: END)
    for record in sorted(records, key=lambda r: r.occurred_at):
        for line in record.truth.lines:
            name = record.truth.action
            touched = (record.key, name, line.product_id, record.truth.order_id)
            first[touched] = min(first[touched], record.occurred_at)
    bought = [k for k in first if k[1] == "purchase"]
    after_cart = [k for k in bought if first[(k[0], "add_to_cart", k[2], None)] < first[k]]
    assert len(after_cart) > 0.9 * len(bought) > 0
    refunded = [k for k in first if k[1] == "refund"]
    after_purchase = [k for k in refunded if first[(k[0], "purchase", *k[2:])] < first[k]]
    # The cart or the purchase itself may be among the records that never arrive.
    assert len(after_purchase) > 0.9 * len(refunded) > 0


def test_a_stale_query_id_never_names_the_search_that_earned_it(records):
    stale = [r for r in records if r.truth.kind is Kind.STALE_QUERY_ID]
    assert stale
    for record in stale:
        assert Interaction.from_json(record.value).query_id not in {
            line.query_id for line in record.truth.lines
        }


def test_purchases_mostly_name_no_search(records):
    orders = [Interaction.from_json(r.value) for r in records if r.truth.action == "purchase"]
    silent = [o for o in orders if o.query_id is None and all(item.query_id is None for item in o.items)]
    assert len(silent) > len(orders) / 2


def test_higher_positions_are_clicked_more_though_the_order_says_nothing():
    ids = [p.product_id for p in make_shop(products=20).catalog]
    shuffled = make_shop(
        products=20,
        sessions_per_week=400,
        ranker=lambda _query, _week, luck: [str(i) for i in luck.permutation(ids)],
    )
    ordinals = Counter()
    for record in shuffled.all_events():
        if record.truth.action == "click":
            position = Interaction.from_json(record.value).event_attributes.position
            ordinals[position.ordinal if position else None] += 1
    assert sum(ordinals[n] for n in range(1, 6)) > 1.7 * sum(ordinals[n] for n in range(16, 21)) > 0


def test_demand_changes_between_the_weeks_by_more_than_chance():
    catalog = generate(7, 300)

    def kinds_wanted(week, luck):
        demand, rng = Demand(catalog, seed=7, week=week), Random(luck)
        return Counter(
            kind for _ in range(4000) for kind in demand.draw(rng).concepts if kind.startswith("type:")
        )

    def distance(one, other):
        return sum(abs(one[kind] - other[kind]) for kind in {*one, *other})

    chance = distance(kinds_wanted(0, 1), kinds_wanted(0, 2))
    assert distance(kinds_wanted(0, 1), kinds_wanted(2, 2)) > 2 * chance


def test_new_nicknames_come_up_after_the_first_week(shop):
    words = [
        {word for r in shop.events(week) if r.truth.query for word in r.truth.query.split()}
        for week in (0, 2)
    ]
    newcomers = {
        "davvy",
        "plod",
        "jolter",
        "burrstick",
        "bazzer",
        "skulls",
        "baasy",
        "dashers",
        "mowzer",
        "swivver",
    }
    assert not newcomers & words[0]
    assert newcomers & words[1]


def test_deleted_products_are_never_shown_and_their_tombstones_come():
    larger = make_shop(products=1500, sessions_per_week=40)
    assert any(p.deleted_in == 0 for p in larger.catalog)
    for week in range(3):
        gone = {p.product_id for p in larger.catalog if p.deleted_in is not None}
        shown = {i for r in larger.events(week) if r.truth.query for i in Search.from_json(r.value).shown()}
        assert not gone & shown
        tombstones = {r.key.decode() for r in larger.events(week) if r.truth.kind is Kind.TOMBSTONE}
        assert tombstones == {p.product_id for p in larger.catalog if p.deleted_in == week > 0}


def test_every_search_has_relevant_products_and_shows_some_of_them(shop):
    hits = total = 0
    for record in shop.events(1):
        if record.truth.query:
            gains = shop.qrels(record.truth.query, week=1)
            assert gains
            assert list(gains.values()) == sorted(gains.values(), reverse=True)
            hits += any(gains.get(i, 0) >= 2 for i in Search.from_json(record.value).shown())
            total += 1
    assert hits > 0.7 * total
    assert shop.qrels("never typed by anybody") == {}


def test_sampled_queries_hold_seen_and_never_seen_ones(shop):
    sample = shop.queries(2, 100)
    assert len(sample) == 100
    assert {q.seen for q in sample} == {True, False}
    assert all(q.gains and q.text.strip() and q.meaning for q in sample)


def test_examples_are_slang_that_earlier_weeks_taught(shop):
    examples = shop.examples(5)
    assert len(examples) == 5
    typed = {r.truth.query for week in (0, 1) for r in shop.events(week)}
    for example in examples:
        assert example.text in typed
        assert not {w.lower() for w in example.meaning.split()} & set(example.text.split())


def test_purchases_are_told_once_although_some_records_come_twice(shop):
    told = [(p.order_id, p.line.product_id) for week in range(3) for p in shop.purchases(week)]
    sent = {
        (r.truth.order_id, line.product_id)
        for r in shop.all_events()
        if r.truth.action == "purchase"
        for line in r.truth.lines
    }
    assert set(told) == sent


def test_another_engine_may_answer(shop):
    ids = [p.product_id for p in shop.catalog[:3]]
    fixed = make_shop(ranker=lambda _query, _week, _luck: [*ids, "elsewhere"], sessions_per_week=20)
    shown = [Search.from_json(r.value).shown() for r in fixed.events(0) if r.truth.query]
    assert shown
    assert all(s == [*ids, "elsewhere"] for s in shown)
