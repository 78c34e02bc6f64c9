"""Decide what an event speaks of.

Products in the place of their variants, and no product that does not exist.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from schemas.decoding import refuse
from schemas.events import CleanInteraction, CleanSearch
from schemas.rejections import Reason, Rejection
from stream import metrics
from stream.known import KnownProducts


def has_unknown(outcomes: Iterable[object], known: KnownProducts) -> bool:
    """Say whether any interaction names something that is not in the catalogue, or not yet."""
    return any(
        isinstance(o, CleanInteraction) and any(known.find(x.product_id) is None for x in o.lines)
        for o in outcomes
    )


def locate_search(search: CleanSearch, known: KnownProducts) -> CleanSearch:
    """Return the search with products in the place of variants.

    What is unknown was shown all the same, and stays.
    """
    shown = list(dict.fromkeys(known.find(p) or p for p in search.shown))
    if shown == search.shown:
        return search
    return replace(search, shown=shown, placed=list(dict.fromkeys(known.find(p) or p for p in search.placed)))


def locate_interaction(interaction: CleanInteraction, known: KnownProducts) -> CleanInteraction | Rejection:
    """Return the interaction with products for variants and without unknown ones.

    ``unknown_product`` when none is left. An empty catalogue knows nothing and refuses nothing.
    """
    if not len(known):
        return interaction
    found = [(line, known.find(line.product_id)) for line in interaction.lines]
    if all(product_id == line.product_id for line, product_id in found):
        return interaction
    lines = [replace(line, product_id=product_id) for line, product_id in found if product_id]
    if not lines:
        return refuse(Reason.UNKNOWN_PRODUCT, message="not in the catalogue")
    metrics.UNKNOWN_LINES.inc(len(found) - len(lines))
    return replace(interaction, lines=lines)
