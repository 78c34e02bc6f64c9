"""The one table of topics.

The broker creates them from it, and the published schemas are generated from it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.base import Message, StreamFact
from schemas.events import CleanSearch, Erasure, Interaction, Search
from schemas.judged_queries import RatedQuery
from schemas.pairs import Contribution, Pair
from schemas.products import CatalogProduct, Product
from schemas.releases import DeploymentCommand, LivePointer, SearcherReport
from schemas.rules import MerchandisingRule
from schemas.search import SearchRequest, SearchResponse
from schemas.training import Decision, TrainingRun, Trigger


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic.

    ``scaled`` topics have the configured number of partitions, the others one, so that they are totally
    ordered. ``value`` None: nobody but its writer reads it, so its form is no contract. ``retention`` None
    with ``delete`` means for ever.
    """

    name: str
    key: str
    value: type[Message] | type[StreamFact] | None
    written_by: str
    summary: str
    scaled: bool = True
    cleanup: Literal["delete", "compact"] = "delete"
    retention: timedelta | None = None
    dead_letters: bool = False
    micro_batched: bool = False

    @property
    def retention_ms(self) -> int:
        """Return Kafka's ``retention.ms`` of a topic with ``delete``."""
        return -1 if self.retention is None else self.retention // timedelta(milliseconds=1)


DEAD_LETTERS_KEPT = timedelta(days=30)
_DAYS = {n: timedelta(days=n) for n in (30, 90, 180)}

SEARCHES = Topic(
    name="searches",
    key="any",
    value=Search,
    written_by="producers, searcher",
    summary="What was searched and what was shown.",
    retention=_DAYS[30],
    dead_letters=True,
)
INTERACTIONS = Topic(
    name="interactions",
    key="any",
    value=Interaction,
    written_by="producers",
    summary="What shoppers did with products.",
    retention=_DAYS[90],
    dead_letters=True,
)
ERASURES = Topic(
    name="erasures",
    key="any",
    value=Erasure,
    written_by="producers, operators",
    summary="Which shoppers to forget.",
    retention=_DAYS[30],
    dead_letters=True,
)
PRODUCTS = Topic(
    name="products",
    key="product_id",
    value=Product,
    written_by="producers",
    summary="The shop's catalogue; null deletes.",
    cleanup="compact",
    dead_letters=True,
)
EVENTS = Topic(
    name="events",
    key="none (partitioned by shopper)",
    value=CleanSearch,
    written_by="intake",
    summary="Micro-batches of the clean union of searches, interactions and erasures.",
    retention=_DAYS[90],
    micro_batched=True,
)
CATALOG = Topic(
    name="catalog",
    key="product_id",
    value=CatalogProduct,
    written_by="intake",
    summary="The clean catalogue; null deletes.",
    cleanup="compact",
)
PICTURES = Topic(
    name="pictures",
    key="product_id",
    value=CatalogProduct,
    written_by="stream, operators",
    summary="What became of the picture of a product, with the product as it was then: for intake.",
    cleanup="compact",
)
SHOPPERS = Topic(
    name="shoppers",
    key="shopper",
    value=None,
    written_by="attribute",
    summary="What attribution remembers of each shopper: the changelog of its table, read by nobody else.",
    cleanup="compact",
)
CONTRIBUTIONS = Topic(
    name="contributions",
    key="none (partitioned by query)",
    value=Contribution,
    written_by="attribute",
    summary="Micro-batches of changes of credit.",
    retention=_DAYS[90],
    micro_batched=True,
)
PAIRS = Topic(
    name="pairs",
    key="query + tab + product_id",
    value=Pair,
    written_by="aggregate",
    summary="Absolute credits per query and product.",
    cleanup="compact",
)
TRAINING_TRIGGERS = Topic(
    name="training-triggers",
    key="pipeline",
    value=Trigger,
    written_by="anybody",
    summary="Requests for a training run.",
    scaled=False,
    retention=_DAYS[30],
    dead_letters=True,
)
TRAINING_RUNS = Topic(
    name="training-runs",
    key="run_id",
    value=TrainingRun,
    written_by="trainer",
    summary="The state of every run.",
    scaled=False,
    cleanup="compact",
)
DECISIONS = Topic(
    name="decisions",
    key="run_id",
    value=Decision,
    written_by="trainer, indexer",
    summary="The evidence of every verdict and change of generation.",
    scaled=False,
)
DEPLOYMENT_COMMANDS = Topic(
    name="deployment-commands",
    key="deployment",
    value=DeploymentCommand,
    written_by="trainer, operators",
    summary="Wishes to change what serves.",
    scaled=False,
    retention=_DAYS[180],
    dead_letters=True,
)
RELEASES = Topic(
    name="releases",
    key="deployment, or generation",
    value=LivePointer,
    written_by="indexer",
    summary="The live pointer and one record per generation.",
    scaled=False,
    cleanup="compact",
)
RULES = Topic(
    name="rules",
    key="rule_id",
    value=MerchandisingRule,
    written_by="operators",
    summary="Merchandising rules: what is pinned, buried, boosted or hidden; null deletes.",
    scaled=False,
    cleanup="compact",
)
JUDGMENTS = Topic(
    name="judgments",
    key="set + tab + query",
    value=RatedQuery,
    written_by="operators",
    summary="Named sets of an operator's own judgments, which every run scores; null deletes.",
    scaled=False,
    cleanup="compact",
)
SEARCHER_REPORTS = Topic(
    name="searcher-reports",
    key="searcher_id",
    value=SearcherReport,
    written_by="searcher",
    summary="What each searcher serves.",
    scaled=False,
    cleanup="compact",
)
SEARCH_REQUESTS = Topic(
    name="search-requests",
    key="request_id",
    value=SearchRequest,
    written_by="clients",
    summary="Queries to answer.",
    retention=timedelta(hours=1),
)
SEARCH_RESPONSES = Topic(
    name="search-responses",
    key="request_id",
    value=SearchResponse,
    written_by="searcher",
    summary="Answers.",
    retention=timedelta(hours=1),
)
SKIPPED = Topic(
    name="skipped",
    key="topic/partition/offset",
    value=None,
    written_by="operators",
    summary="Records that processes skip, with who said so and why (`searchloop dlq skip`).",
    scaled=False,
    cleanup="compact",
)
API_KEYS = Topic(
    name="api-keys",
    key="key_id",
    value=None,
    written_by="operators",
    summary="Keys of the HTTP API, hashed (`searchloop keys`); null forgets one.",
    scaled=False,
    cleanup="compact",
)

# What producers write. A dead letter is sent again to one of these, and to nothing else.
RAW = (SEARCHES, INTERACTIONS, ERASURES, PRODUCTS)
TOPICS = (
    SEARCHES, INTERACTIONS, ERASURES, PRODUCTS, EVENTS, CATALOG, PICTURES, SHOPPERS, CONTRIBUTIONS, PAIRS,
    TRAINING_TRIGGERS, TRAINING_RUNS, DECISIONS, DEPLOYMENT_COMMANDS, RELEASES, RULES,
    JUDGMENTS, SEARCHER_REPORTS, SEARCH_REQUESTS, SEARCH_RESPONSES, SKIPPED, API_KEYS,
)  # fmt: skip


def dead_letter_name(topic: str) -> str:
    """Return the name of the topic that takes what was refused from ``topic``."""
    return f"{topic}.dlq"


def dead_letters_of(topic: Topic) -> Topic:
    """Return the topic that takes what was refused from ``topic``."""
    return Topic(
        name=dead_letter_name(topic.name),
        key="that of the record",
        value=None,
        written_by="whoever refuses it",
        summary=f"What was refused from {topic.name}: the original bytes, and headers that say why.",
        scaled=False,
        retention=DEAD_LETTERS_KEPT,
    )


WITH_DEAD_LETTERS = (*TOPICS, *(dead_letters_of(topic) for topic in TOPICS if topic.dead_letters))
