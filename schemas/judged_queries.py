"""Judgments: how relevant products are to a query in an operator's own eyes. The topic ``judgments``."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.base import NO_CONTROL, ControlTime, Id, Message, refuse_bool
from schemas.bounds import ID_CHARS, NAME_CHARS, QUERY_CHARS, RATINGS, RELEVANCE
from schemas.text import normalise_query

SetName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$",
        description="Up to 40 of a-z, 0-9, point, dash and underscore, the first a letter or digit.",
    ),
]
Relevance = Annotated[
    float, BeforeValidator(refuse_bool), Field(ge=0, le=RELEVANCE, description="0: not relevant.")
]
_Product = Annotated[str, Field(min_length=1, max_length=ID_CHARS, pattern=NO_CONTROL)]


def _as_everywhere(query: str) -> str:
    if not (normalised := normalise_query(query)):
        raise ValueError("it is blank")
    return normalised


JudgedText = Annotated[str, Field(max_length=QUERY_CHARS), AfterValidator(_as_everywhere)]


class Judgment(Message):
    """One rating, as a line of a file has it. Relevance 0: not relevant; 1, 2, 3 are gains of 1, 2, 3."""

    query: JudgedText
    product_id: Id
    relevance: Relevance


class RatedQuery(Message):
    """All ratings of one query in a named set: the topic ``judgments``, key set, tab, query; null deletes.

    ``query`` is normalised as everywhere. ``ratings`` maps products to their relevance. ``actor`` is what the
    last writer says of itself.
    """

    name: SetName
    # Casefolding may triple a text, and what was written must be read again
    query: Annotated[str, Field(max_length=3 * QUERY_CHARS), AfterValidator(_as_everywhere)]
    ratings: Annotated[dict[_Product, Relevance], Field(min_length=1, max_length=RATINGS)]
    actor: Annotated[str, Field(max_length=NAME_CHARS)] = "unknown"
    at: ControlTime = Field(default_factory=lambda: datetime.now(UTC))


def judged_key(name: str, query: str) -> bytes:
    """Return the key of a query in a set, on the topic; ``query`` is normalised."""
    return f"{name}\t{query}".encode()
