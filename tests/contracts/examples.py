"""One message of every kind with every field set, and raw bodies in the forms that producers send.

What ``write_fixtures`` keeps.
"""

from datetime import UTC, datetime, timedelta

from schemas.base import Message, StreamFact
from schemas.events import (
    Action,
    CleanInteraction,
    CleanSearch,
    Erasure,
    EventAttributes,
    EventObject,
    Forget,
    Hit,
    Interaction,
    Item,
    Line,
    Position,
    Search,
    Tick,
)
from schemas.judged_queries import RatedQuery
from schemas.pairs import ClientErasure, Contribution, Pair
from schemas.products import CatalogProduct, Product, ProductImage
from schemas.rejections import Problem, Reason, Rejection
from schemas.releases import (
    Candidate,
    DeploymentCommand,
    LivePointer,
    Ranking,
    Release,
    ReleaseState,
    SearcherReport,
)
from schemas.rules import MerchandisingRule
from schemas.search import (
    Facet,
    FacetCount,
    Filter,
    HitRule,
    RuleAction,
    ScoredHit,
    SearchError,
    SearchRequest,
    SearchResponse,
    Status,
    Timings,
)
from schemas.training import Check, Decision, RunError, RunState, Score, TrainingRun, Trigger

AT = datetime(2026, 3, 10, 12, 0, 0, 123000, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
SHA = "ab" * 32
COMMAND = DeploymentCommand(
    command_id="c1", action="promote", expected_generation=1, target_generation=2, force=True, reason="why",
    actor="ann", at=AT,
    candidate=Candidate(model="runs/1/model", model_sha256=SHA, dim=384, vectors="runs/1/vectors",
                        run_id="r1", decision_id="d1"),
)  # fmt: skip
RELEASE = Release(
    generation=2, kind="full", model="runs/1/model", model_sha256=SHA, dim=384, collection="main_000002",
    catalog_offsets={0: 7, 1: 9},
    ranking=Ranking(coefficients={"dense": 1.0, "words": 0.2}, language="english", analysis_sha256=SHA),
    row_count=16, id_set_sha256=SHA, parent=1, run_id="r1", decision_id="d1", command=COMMAND,
    state=ReleaseState.RELEASED, at=AT,
)  # fmt: skip
CONTRIBUTION = Contribution(
    contribution_id="1-9-2-0", query="red mug", product_id="p1", action=Action.PURCHASE, day=20522,
    credit=800, units=2, revenue_minor=1798, client="00ff00ff00ff00ff", source=1, position=(9, 2, 0),
)  # fmt: skip
PAIR = Pair(
    query="red mug", product_id="p1", fence={0: (4, 0, 1), 1: (9, 1, 0)}, revision=3,
    clients={"00ff00ff00ff00ff": 1100, "a" * 16: 300},
    days={20521: {Action.CLICK: (1000, 0, 0)}, 20522: {Action.PURCHASE: (400, 1, 899)}},
)  # fmt: skip

CHECK = Check(
    name="gain", verdict="pass", reason="above", metric="ndcg10", segment="all", baseline="live",
    candidate_value=0.6, baseline_value=0.5, delta=0.1, ci_low=0.0, ci_high=0.2, n=9, threshold=0.0,
)  # fmt: skip

MESSAGES: list[Message | StreamFact] = [
    Search(
        event_id="e1", timestamp=AT, application="shop", client_id="ann", session_id="s1", user_id="u1",
        query_id="q1", is_bot=False, user_query="Red mug", query_response_hit_ids=["p1", "p2"],
        hits=[Hit(object_id="p1", rank=1, score=0.5)], placed=["p1"], generation=2,
    ),
    Interaction(
        event_id="e2", timestamp=AT, client_id="ann", query_id="q1", action_name="purchase",
        user_query="Red mug", order_id="o1",
        items=[Item(object_id="p1", quantity=2, unit_price=8.99, currency="EUR", query_id="q1", ordinal=1)],
        object_id="p1",
        event_attributes=EventAttributes(object=EventObject(object_id="p1"), position=Position(ordinal=1)),
    ),
    Erasure(event_id="e3", timestamp=AT, client_id="ann"),
    Product(
        product_id="p1", title="Red mug", description="A mug.", brand="Acme",
        category_path=["Kitchen", "Mugs"], price=8.99, currency="EUR", availability="in stock",
        attributes={"colour": "red", "handles": 1, "washable": True, "sizes": ["s", "m"]}, variant_ids=["v1"],
        group_id="g1",
        image=ProductImage(uri="https://shop.example/p1.jpg", sha256=SHA), version=3, updated_at=AT,
    ),
    CleanSearch(event_id="e1", shopper="ann", at_ms=AT_MS, query_id="q1", query="red mug", shown=["p1"],
                session_id="s1", generation=2, placed=["p1"]),
    CleanInteraction(
        event_id="e2", shopper="ann", at_ms=AT_MS, action=Action.PURCHASE, query_id="q1", query="red mug",
        order_id="o1", session_id="s1",
        lines=[Line(product_id="p1", units=2, revenue_minor=1798, query_id="q1")],
    ),
    Forget(event_id="e3", shopper="ann", at_ms=AT_MS),
    Tick(at_ms=AT_MS),
    CatalogProduct(
        product_id="p1", title="Red mug", description="A mug.", brand="Acme", category_path=["Kitchen"],
        price=8.99, currency="EUR", availability="in stock", attributes={"colour": "red"}, variant_ids=["v1"],
        group_id="g1",
        image=ProductImage(uri="https://shop.example/p1.jpg", sha256=SHA), image_key="images/p1",
        image_problem=Reason.IMAGE_FETCH, image_of=(1, 2, AT_MS), version=3,
    ),
    CONTRIBUTION,
    ClientErasure(client="00ff00ff00ff00ff", through_day=20520, source=1, position=(9, 3, 4)),
    PAIR,
    Trigger(
        trigger_id="t1", reason="volume", requested_by="trainer", requested_at=AT, dedup_key="volume:main:9",
        base="pristine", force=True, force_reason="why", dry_run=True,
        params={"max_steps": 3, "learning_rate": 0.1, "label_shuffle": True, "device": "cpu"},
    ),
    TrainingRun(
        run_id="r1", trigger_ids=["t1"], dedup_keys=["k"], seq=4, state=RunState.FAILED, at=AT, progress=0.5,
        detail="training", pairs=9, queries=3, products=4, metrics={"loss": 0.5}, verdict="fail",
        generation=2, duration_s=1.5, error=RunError(code="oom", message="too much", retryable=True),
    ),
    Decision(
        decision_id="d1", run_id="r1", verdict="inconclusive", reasons=["few queries"], snapshot_sha256=SHA,
        candidate_sha256=SHA, seed=1, ndcg10={"live": {"all": Score(mean=0.5, ci_low=0.4, ci_high=0.6, n=9)}},
        generation_before=1, generation_after=2, at=AT, examples=[{"query": "red mug", "candidate": ["p1"]}],
        checks=[CHECK],
    ),
    COMMAND,
    RELEASE,
    LivePointer(sequence=5, live=RELEASE, previous=RELEASE, cause="promote", command_id="c1", paused=True,
                pinned=True, at=AT),
    MerchandisingRule(
        rule_id="r1", deployment="main", action=RuleAction.BOOST, query="red mug", product_ids=["p1"],
        filters=[Filter(field="price", op="lt", value=9.5)], boost=0.25, since=AT,
        until=AT + timedelta(days=1), actor="ann", reason="why", at=AT,
    ),
    RatedQuery(name="house", query="red mug", ratings={"p1": 3, "p2": 0.5}, actor="ann", at=AT),
    SearcherReport(searcher_id="s1", generation=2, sequence=5, ready=True, at=AT),
    SearchRequest(
        request_id="r1", user_query="red mug", k=5, offset=5,
        filters=[Filter(field="price", op="lt", value="9"),
                 Filter(field="attributes.colour", op="in", value=["red", 1.0, True]),
                 Filter(field="group_id", op="exists", value=True)],
        client_id="ann", session_id="s1", user_id="u1", query_id="q1", timeout_ms=100, explain=True,
        facets=["brand", "attributes.colour"], group_by="group_id", sort="price_asc",
        image=b"a file", image_weight=0.25, ranking="previous",
    ),
    SearchResponse(
        request_id="r1", query_id="q1", status=Status.PARTIAL, generation=2, model=SHA,
        collection="main_000002",
        hits=[ScoredHit(product_id="p1", rank=1, score=0.5, fields={"title": "Red mug", "price": 8.99},
                        parts={"dense": 0.5},
                        rule=HitRule(rule_id="r1", action=RuleAction.PIN, placed=True))],
        facets=[Facet(field="attributes.colour", others=1, counts=[
            FacetCount(value=value, count=2) for value in ("red", 4, 4.5, True)])],
        timings=Timings(queue_ms=1, embed_ms=2, search_ms=3, index_ms=2, total_ms=7),
        error=SearchError(code="late", message="late", retryable=True),
    ),
    Rejection(reason=Reason.SCHEMA,
              problems=[Problem(loc="items.0", type="missing", message="Field required")]),
]  # fmt: skip

RAW = [
    (
        "searches",
        {
            "query_id": 7,
            "client_id": "ann",
            "timestamp": AT_MS,
            "user_query": " Red  MUG ",
            "query_response_objects_ids": ["p2", 3],
        },
    ),
    (
        "searches",
        {
            "query_id": "q",
            "session_id": "s",
            "timestamp": "2026-03-10T13:00:00+01:00",
            "user_query": "tea",
            "hits": [{"product_id": "p9", "rank": 2}, {"object_id": "p1", "rank": 1}],
        },
    ),
    (
        "interactions",
        {
            "action_name": "Product Clicked",
            "event_id": "x",
            "client_id": "ann",
            "timestamp": AT_MS // 1000,
            "event_attributes": {"object": {"object_id": 12}, "position": {"ordinal": 3}},
        },
    ),
    (
        "interactions",
        {
            "action_name": "purchase",
            "user_id": "u",
            "timestamp": AT.isoformat(),
            "items": [
                {"product_id": "p1", "quantity": 2, "unit_price": 1.25},
                {"object_id": "p2", "query_id": "q"},
            ],
            "unknown": {"a": 1},
        },
    ),
    (
        "interactions",
        {
            "action_name": "refund",
            "client_id": "ann",
            "timestamp": AT.isoformat(),
            "object_id": "p1",
            "order_id": "o",
            "schema_version": "1.2",
        },
    ),
    ("erasures", {"client_id": "ann", "timestamp": AT.isoformat()}),
    (
        "products",
        {
            "product_id": "k",
            "title": "<b>Red</b> mug",
            "attributes": {"colour": "red"},
            "variant_ids": [1, "v"],
            "image": {"uri": "https://shop.example/a.jpg"},
        },
    ),
]
