"""Search over Kafka.

The request, the answer, and the headers that carry the reply address (Spring's names).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetPydanticSchema

from schemas.absent import NOBODY
from schemas.base import Fact, Id, Message, OptionalId
from schemas.bounds import (
    FACETS,
    FILTER_CHARS,
    FILTER_LIST,
    FILTER_VALUES,
    FILTERS,
    OFFSET,
    QUERY_CHARS,
    TIMEOUT_MS,
    K,
)
from schemas.image_field import Image
from schemas.products import Attribute

CORRELATION_ID = "kafka_correlationId"
REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"


ATTRIBUTES = "attributes."
GROUP = "group_id"
FilterText = Annotated[str, Field(max_length=FILTER_CHARS)]
FilterValue = FilterText | float | bool
_FIELD_ERROR: dict[str, Any] = {
    "custom_error_type": "field",
    "custom_error_message": (
        "A field is product_id, brand, category, price, availability, group_id, or attributes. and a name, "
        f"at most {FILTER_CHARS} characters"
    ),
}
# A field of every product, or an attribute of the catalogue by its name
FilterField = Annotated[
    Literal["product_id", "brand", "category", "price", "availability", "group_id"]
    | Annotated[str, Field(pattern=r"^attributes\.\s*\S", max_length=FILTER_CHARS)],
    GetPydanticSchema(lambda source, handler: handler(source) | _FIELD_ERROR),
]


class Filter(Message):
    """One condition on a product field. Conditions are joined by AND; there is no raw expression.

    ``attributes.NAME`` is an attribute of the catalogue, a name or value of which is the same in any case and
    spacing. ``exists`` takes true or false.
    """

    field: FilterField
    op: Literal["eq", "ne", "in", "lt", "lte", "gt", "gte", "exists"] = "eq"
    value: FilterValue | Annotated[list[FilterValue], Field(max_length=FILTER_LIST)]


def _bounded(filters: list[Filter]) -> list[Filter]:
    values = sum(len(f.value) if isinstance(f.value, list) else 1 for f in filters)
    if values > FILTER_VALUES:
        raise ValueError(f"{values} values in all conditions together, at most {FILTER_VALUES}")
    return filters


# What serves; or, for comparison, what served before, of what serves the encoder alone (dense) or BM25 alone
# (words), or the pretrained model alone (base). Such an answer teaches nothing and counts for no generation.
RankingAsked = Literal["live", "previous", "dense", "words", "base"]
LIVE: RankingAsked = "live"
Filters = Annotated[list[Filter], Field(max_length=FILTERS), AfterValidator(_bounded)]


class SearchRequest(Message):
    """A query to answer: the topic ``search-requests``.

    By text, by picture, or by both: ``image`` is base64 of a JPEG, PNG, GIF or WEBP file, ``image_weight``
    its share of the query's vector beside the text. ``user_query`` may be blank or absent where there is a
    picture, and only there.

    ``facets``: of these fields the values are counted among the best products. ``group_by``: of the products
    that share its value the best one is a hit. ``sort``: those that compete in another order than that of the
    score. ``timeout_ms`` counts from the record's Kafka timestamp. ``deployment`` names the one whose
    searchers answer; without it those of every deployment of the prefix do.

    ``ranking``: who answers, for comparison: what serves (``live``), what served before (``previous``), of
    what serves the encoder alone (``dense``) or BM25 alone (``words``), or the pretrained model alone
    (``base``), if a generation of it is open; what is not there is refused. None but ``live`` teaches.
    """

    request_id: Id
    user_query: Annotated[str, Field(max_length=QUERY_CHARS)] = ""
    image: Image | None = None
    image_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    k: Annotated[int, Field(ge=1, le=K)] = 10
    offset: Annotated[int, Field(ge=0, le=OFFSET)] = 0
    filters: Filters = []
    facets: Annotated[list[FilterField], Field(max_length=FACETS)] = []
    group_by: FilterField | None = None
    sort: Literal["price_asc", "price_desc", "newest"] | None = None
    client_id: OptionalId = None
    session_id: OptionalId = None
    user_id: OptionalId = None
    query_id: OptionalId = None
    timeout_ms: Annotated[int, Field(ge=1, le=TIMEOUT_MS)] = 5000
    explain: bool = False
    ranking: RankingAsked = LIVE
    deployment: OptionalId = None

    @property
    def compares(self) -> bool:
        """Whether anything but what serves is asked: the answer teaches nothing."""
        return self.ranking != LIVE

    def has_placeholder(self) -> bool:
        """Say whether an id names nobody."""
        return not NOBODY.isdisjoint(
            (self.request_id, self.client_id, self.session_id, self.user_id, self.query_id)
        )


class Status(StrEnum):
    """How a request ended. Every accepted request gets exactly one."""

    OK = "ok"
    PARTIAL = "partial"
    ERROR = "error"
    EXPIRED = "expired"
    REJECTED = "rejected"


class RuleAction(StrEnum):
    """What a merchandising rule does with its products. Of several for one product the first one counts."""

    HIDE = "hide"
    PIN = "pin"
    BURY = "bury"
    BOOST = "boost"


class HitRule(Fact):
    """The merchandising rule that changed a hit (topic ``rules``).

    ``placed``: it is pinned, or a boost moved it up: what shoppers do with it there teaches nothing.
    """

    rule_id: str
    action: RuleAction
    placed: bool = False


class ScoredHit(Fact):
    """One product of an answer.

    ``rank`` is 1-based and counts from ``offset``; ``score`` is higher for better, of a product that no part
    of the score named that of its cosine alone. ``parts``, where the request asked to explain: what each part
    adds to the score, the greatest first. ``rule``: the one that changed its place or score, if any.
    ``explored``: the chance with which this new product was chosen to be shown above its place.
    """

    product_id: str
    rank: int
    score: float
    fields: dict[str, Attribute | None] = {}
    parts: dict[str, float] | None = None
    rule: HitRule | None = None
    explored: float | None = None


class FacetCount(Fact):
    """How many of the best products have a value, which is a filter's as it stands."""

    value: str | int | float | bool
    count: int


class Facet(Fact):
    """The values of a field among the best products, the most frequent first; ``others`` are left out."""

    field: str
    counts: list[FacetCount] = []
    others: int = 0


class Timings(Fact):
    """Milliseconds: waiting for the batch, encoding, searching, and from the request's Kafka timestamp to the
    answer. ``index_ms`` of ``search_ms`` were waited for the index.
    """  # noqa: D205 (published word for word)

    queue_ms: float = 0.0
    embed_ms: float = 0.0
    search_ms: float = 0.0
    index_ms: float = 0.0
    total_ms: float = 0.0


class SearchError(Fact):
    """Why there are no hits, or with status ``partial`` why some part of the score is missing.

    With status ``ok`` it is a note: ``unknown_attribute`` names what no product of the catalogue has.

    ``retryable`` says whether the same request may succeed later, ``retry_after_ms`` when.
    """

    code: str
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None


class SearchResponse(Fact):
    """The one answer to a request: ``search-responses``, or the allowed reply topic that the request named.

    ``request_id`` is empty where none could be read and only a correlation id says who asked.

    ``generation``, ``model`` and ``collection`` come from the one release that answered; None only if none
    was asked.
    """

    request_id: str
    query_id: str | None = None
    status: Status
    hits: list[ScoredHit] = []
    facets: list[Facet] = []
    generation: int | None = None
    model: str | None = None
    collection: str | None = None
    timings: Timings = Timings()
    error: SearchError | None = None
