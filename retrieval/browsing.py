"""What a request may ask for besides the score's order: facets, one product per group, another order. Pure.

They are about what answers the query, and not about all that a shop has: every product of a catalogue is an
answer to a vector, a poor one. So facets count the ``FACETED`` best, and an order by price or newness is that
of the products that compete, and ends with them. Scores stay as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import inf

from retrieval.filters import above, is_trait
from retrieval.traits import NO_TRAITS, Traits, Value, same_field, spelling, term
from schemas.bounds import EXACT_INTEGER, FACET_VALUES, FILTER_CHARS
from schemas.search import Facet, FacetCount, ScoredHit, SearchRequest


def browses(request: SearchRequest) -> bool:
    """Say whether a request asks for anything of it."""
    return bool(request.facets or request.group_by or request.sort)


def traits_read(request: SearchRequest) -> set[str]:
    """Return the fields of what it asks for that are traits, as the request writes them."""
    fields = {*request.facets, *([request.group_by] if request.group_by else [])}
    return {one for one in fields if is_trait(one)}


def values_of(field: str, hit: ScoredHit, traits: Traits) -> Mapping[str, Value]:
    """Return what a product has of a field: each value by the form in which it is compared.

    Of a category also those that hold it, the widest first; of a list the first ``FACET_VALUES``.
    """
    name = same_field(field)
    if is_trait(name):
        return traits.own(name, FACET_VALUES)
    if name == "product_id":
        return {hit.product_id: hit.product_id}
    value = hit.fields.get(name)
    if value is None or value == "" or isinstance(value, list):
        return {}
    if name == "category" and isinstance(value, str):
        return {spelling(one): one for one in (*above(value), value)}
    return {term(value) if name == "price" else spelling(str(value)): value}


def facets(fields: Sequence[str], hits: Sequence[ScoredHit], traits: Mapping[str, Traits]) -> list[Facet]:
    """Return how many of the hits have each value of the fields, the most frequent first, ties by value.

    A value is shown in its most frequent spelling. At most ``FACET_VALUES`` of a field, and none that is too
    long to be filtered by: ``others`` says how many are left out.
    """
    return [_facet(field, hits, traits) for field in dict.fromkeys(fields)]


def _facet(field: str, hits: Sequence[ScoredHit], traits: Mapping[str, Traits]) -> Facet:
    spellings: defaultdict[str, Counter[Value]] = defaultdict(Counter)
    for hit in hits:
        for one, shown in values_of(field, hit, traits.get(hit.product_id, NO_TRAITS)).items():
            spellings[one][_shown(shown)] += 1
    counted = {one: own.total() for one, own in spellings.items() if len(one) <= FILTER_CHARS}
    first = sorted(counted, key=lambda one: (-counted[one], one))[:FACET_VALUES]
    return Facet(
        field=field,
        counts=[FacetCount(value=_usual(spellings[one]), count=counted[one]) for one in first],
        others=len(spellings) - len(first),
    )


def _shown(value: Value) -> Value:
    """Return a value as every reader of JSON reads it."""
    return str(value) if isinstance(value, int) and abs(value) > EXACT_INTEGER else value


def _usual(spellings: Counter[Value]) -> Value:
    return min(spellings, key=lambda one: (-spellings[one], str(one)))


def one_per_group(hits: Sequence[ScoredHit], field: str, traits: Mapping[str, Traits]) -> list[ScoredHit]:
    """Return the first hit of each group, in order; those that have nothing of the field are no group."""
    found: list[ScoredHit] = []
    seen: set[frozenset[str]] = set()
    for hit in hits:
        group = frozenset(values_of(field, hit, traits.get(hit.product_id, NO_TRAITS)))
        if not group or group not in seen:
            found.append(hit)
        seen.add(group)
    return found


def in_order(
    hits: Sequence[ScoredHit], sort: str, competing: Collection[str], traits: Mapping[str, Traits]
) -> list[ScoredHit]:
    """Return the hits that compete by ``sort``, ties as they came; those that lack what it asks are last."""

    def key(hit: ScoredHit) -> float:
        if sort == "newest":
            at = traits.get(hit.product_id, NO_TRAITS).first_seen_ms
            return inf if at is None else -at
        price = hit.fields.get("price")
        if not isinstance(price, int | float):
            return inf
        return -price if sort == "price_desc" else price

    return sorted((h for h in hits if h.product_id in competing), key=key)
