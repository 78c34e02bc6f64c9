"""What the word index holds of a product, and how a filter asks for it (``tantivy``)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Self

import tantivy
from tantivy import Occur, Query

from retrieval.characters import LEADING, NgramCounts
from retrieval.document import description_of, document_text
from retrieval.filters import TEXTS, Condition, forms, parsed
from retrieval.identifiers import identifiers_of, spellings
from retrieval.rows import PATH_SEPARATOR
from retrieval.traits import NO_TRAITS, Traits
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
    product beside its id; ``traits`` are filtered by. ``description``: its beginning.
    """

    product_id: str
    text: str
    brand: str = ""
    category: str = ""
    availability: str = ""
    price: float | None = None
    version: int = 0
    identifiers: Sequence[str] = ()
    traits: Traits = NO_TRAITS
    description: str = ""

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
            Traits.of(product),
            description_of(product),
        )


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("number", stored=True, fast=True)
    builder.add_text_field("text", tokenizer_name="words", index_option="freq")
    builder.add_text_field("description", tokenizer_name="words", index_option="freq")
    builder.add_text_field("characters", tokenizer_name="apart", index_option="basic")
    builder.add_bytes_field("leading", stored=True)
    for name in ("product_id", "identifier", "brand", "category", "availability"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_float_field("price", indexed=True, fast=True)
    builder.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    builder.add_json_field("numbers", tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_bytes_field("traits", stored=True)
    builder.add_unsigned_field("first_seen_ms", fast=True)
    return builder.build()


SCHEMA = _schema()
_PARSER = tantivy.Index(SCHEMA)


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


def tantivy_document(
    document: WordDocument, number: int, text: str, description: str, own: NgramCounts
) -> tantivy.Document:
    """Return what is indexed. ``text`` and ``description``: as their words are read; ``own``: its n-grams."""
    made = tantivy.Document()
    made.add_unsigned("number", number)
    made.add_text("text", text)
    made.add_text("description", description)
    made.add_text("characters", " ".join(own.terms))
    made.add_bytes("leading", document.text[:LEADING].encode())
    made.add_text("product_id", document.product_id)
    for term in {t for name in (document.product_id, *document.identifiers) for t in spellings(name)}:
        made.add_text("identifier", term)
    for name in TEXTS:
        for form in forms(name, getattr(document, name)):
            made.add_text(name, form)
    if document.price is not None:
        made.add_float("price", document.price)
    _add_traits(made, document.traits)
    return made


def _add_traits(made: tantivy.Document, traits: Traits) -> None:
    for one in sorted(traits.tags):
        made.add_text("tag", one)
    if numbers := traits.numbers:
        made.add_json("numbers", {f"n{name}": own for name, own in numbers.items()})
    if traits.attributes or traits.group_id:
        made.add_bytes("traits", json.dumps([traits.attributes, traits.group_id]).encode())
    if traits.first_seen_ms is not None and traits.first_seen_ms >= 0:
        made.add_unsigned("first_seen_ms", traits.first_seen_ms)


def kept_traits(raw: bytes | None, first_seen_ms: int | None) -> Traits:
    """Return the traits as they were indexed."""
    attributes, group_id = json.loads(raw) if raw else ({}, None)
    return Traits(attributes, group_id, first_seen_ms)


def both(wanted: Query, conditions: Sequence[tuple[Occur, Query]]) -> Query:
    """Return a query that also meets the conditions, which add nothing to the score."""
    if not conditions:
        return wanted
    quiet = [(occur, Query.const_score_query(query, 0.0)) for occur, query in conditions]
    return Query.boolean_query([(Occur.Must, wanted), *quiet])


def all_that_meet(filters: Sequence[Filter]) -> Query:
    """Return a query for all products that meet the filters. Raises ``FilterError``."""
    return both(Query.all_query(), narrowed(filters))


def tagged(tags: Sequence[str]) -> Query:
    """Return a query for products with one of the tags at least."""
    return Query.term_set_query(SCHEMA, "tag", list(tags))


def narrowed(filters: Sequence[Filter]) -> list[tuple[Occur, Query]]:
    """Return the filters as conditions. Raises ``FilterError``."""
    return [part for one in parsed(filters) for part in _parts(one)]


def _parts(one: Condition) -> list[tuple[Occur, Query]]:
    if one.of_trait:
        if one.op:
            return [(Occur.Must, _in_range(one))]
        return [(_occur(one), tagged(one.values))]
    if one.field != "price":
        return [(_occur(one), Query.term_set_query(SCHEMA, one.field, list(one.values)))]
    kind, same = tantivy.FieldType.Float, one.op in {"eq", "ne"}
    if one.op == "ne":
        any_price = Query.range_query(SCHEMA, "price", kind, 0.0, None)
        is_it = Query.range_query(SCHEMA, "price", kind, one.number, one.number)
        return [(Occur.Must, any_price), (Occur.MustNot, is_it)]
    below, over = same or one.op in {"lt", "lte"}, same or one.op in {"gt", "gte"}
    between = Query.range_query(
        SCHEMA,
        "price",
        kind,
        one.number if over else 0.0,
        one.number if below else None,
        include_lower=one.op != "gt",
        include_upper=one.op != "lt",
    )
    return [(_occur(one), between)]


def _occur(one: Condition) -> Occur:
    return Occur.MustNot if one.negated else Occur.Must


def _in_range(one: Condition) -> Query:
    """Return the condition that a number of a trait lies in a range.

    Of paths in a JSON field only the parser makes a range; what it reads here is a tag and a number.
    """
    limit = f"{Decimal(one.number):f}"
    written = {"lt": f"{{* TO {limit}}}", "lte": f"[* TO {limit}]", "gt": f"{{{limit} TO *}}"}
    return _PARSER.parse_query(f"numbers.n{one.values[0]}:" + written.get(one.op, f"[{limit} TO *]"), [])
