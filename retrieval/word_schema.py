"""What the word index holds of a product, and how a filter asks for it (``tantivy``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import tantivy
from tantivy import Occur, Query

from retrieval.characters import LEADING, NgramCounts
from retrieval.document import document_text
from retrieval.filters import Condition, above, parsed
from retrieval.identifiers import identifiers_of, spellings
from retrieval.rows import PATH_SEPARATOR
from schemas.products import CatalogProduct
from schemas.search import Filter


class Entered(NamedTuple):
    """How a product stands in the words: its version, and a number that each entering has to itself."""

    number: int
    version: int


@dataclass(frozen=True)
class WordDocument:
    """What the index holds of a product.

    ``text`` is that which the models read; ``category`` the path joined by `` > ``; ``identifiers`` name the
    product beside its id.
    """

    product_id: str
    text: str
    brand: str = ""
    category: str = ""
    availability: str = ""
    price: float | None = None
    version: int = 0
    identifiers: Sequence[str] = ()
    first_seen_ms: int | None = None

    @classmethod
    def of(cls, product: CatalogProduct) -> Self:
        """Take what is needed of a product."""
        return cls(
            product.product_id,
            document_text(product),
            product.brand,
            PATH_SEPARATOR.join(product.category_path),
            product.availability or "",
            product.price,
            product.version,
            identifiers_of(product),
            product.first_seen_ms,
        )


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("number", stored=True, fast=True)
    builder.add_text_field("text", tokenizer_name="words", index_option="freq")
    builder.add_text_field("characters", tokenizer_name="apart", index_option="basic")
    builder.add_bytes_field("leading", stored=True)
    for name in ("product_id", "identifier", "brand", "category", "availability"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_float_field("price", indexed=True, fast=True)
    return builder.build()


SCHEMA = _schema()


def any_of(field: str, terms: Sequence[str], index_option: str) -> Query:
    """Return a query for documents with one of the terms at least, scored by BM25."""
    wanted = [(Occur.Should, Query.term_query(SCHEMA, field, term, index_option)) for term in terms]
    return Query.boolean_query(wanted)


def one_of(product_ids: Sequence[str]) -> Query:
    """Return a query for these products."""
    # A set of terms takes five times as long
    return any_of("product_id", product_ids, "basic")


def named(terms: Sequence[str]) -> Query:
    """Return a query for products with one of the spellings at least, each of which counts the same.

    With all of them a product has 1.
    """
    each = [Query.term_query(SCHEMA, "identifier", term, "basic") for term in terms]
    return Query.boolean_query([(Occur.Should, Query.const_score_query(q, 1 / len(each))) for q in each])


def tantivy_document(document: WordDocument, number: int, text: str, own: NgramCounts) -> tantivy.Document:
    """Return what is indexed. ``text``: as its words are read; ``own``: its n-grams."""
    made = tantivy.Document()
    made.add_unsigned("number", number)
    made.add_text("text", text)
    made.add_text("characters", " ".join(own.terms))
    made.add_bytes("leading", document.text[:LEADING].encode())
    made.add_text("product_id", document.product_id)
    for term in {t for name in (document.product_id, *document.identifiers) for t in spellings(name)}:
        made.add_text("identifier", term)
    made.add_text("brand", document.brand)
    made.add_text("availability", document.availability)
    for category in (*above(document.category), document.category):  # a category holds for all below it
        made.add_text("category", category)
    if document.price is not None:
        made.add_float("price", document.price)
    return made


def both(wanted: Query, conditions: Sequence[tuple[Occur, Query]]) -> Query:
    """Return a query that also meets the conditions, which add nothing to the score."""
    if not conditions:
        return wanted
    quiet = [(occur, Query.const_score_query(query, 0.0)) for occur, query in conditions]
    return Query.boolean_query([(Occur.Must, wanted), *quiet])


def narrowed(filters: Sequence[Filter]) -> list[tuple[Occur, Query]]:
    """Return the filters as conditions. Raises ``FilterError``."""
    return [part for one in parsed(filters) for part in _parts(one)]


def _parts(one: Condition) -> list[tuple[Occur, Query]]:
    if one.field != "price":
        among = Query.term_set_query(SCHEMA, one.field, list(one.values))
        return [(Occur.MustNot if one.negated else Occur.Must, among)]
    below, above = {"lt": "lte", "gt": "gte"}.get(one.op, one.op) == "lte", one.op in {"gt", "gte"}
    kind = tantivy.FieldType.Float
    if one.op in {"eq", "ne"}:
        same = Query.range_query(SCHEMA, "price", kind, one.number, one.number)
        if one.op == "eq":
            return [(Occur.Must, same)]
        return [(Occur.Must, Query.range_query(SCHEMA, "price", kind, 0.0, None)), (Occur.MustNot, same)]
    return [
        (
            Occur.Must,
            Query.range_query(
                SCHEMA,
                "price",
                kind,
                one.number if above else 0.0,
                one.number if below else None,
                include_lower=one.op != "gt",
                include_upper=one.op == "lte" or not below,
            ),
        )
    ]
