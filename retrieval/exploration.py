"""Which new product gets one of the first places of an answer that it competes for, and which place. Pure.

A small share of answers is drawn. Whether, which product and where follow from a seed alone, so that the same
request is answered in the same way, and pages of one search fit together. What a rule pinned keeps its place,
and an answer to the name of a product is never drawn.
"""

from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from itertools import takewhile

from retrieval.ranking import FIXED
from schemas.search import RuleAction, ScoredHit

FIRST = 10  # places that a new product may get


def drawn(seed: str, share: float) -> bool:
    """Say whether an answer is among the share."""
    return _fraction("answer", seed) < share


def explored(
    hits: Sequence[ScoredHit],
    competing: Collection[str],
    new: Callable[[str], bool],
    *,
    seed: str,
    share: float,
) -> list[ScoredHit]:
    """Return the hits of a drawn answer, one new product of those behind ``FIRST`` moved among these.

    ``hits`` are in the order of score and rules, at least all that compete for the answer. The one that moved
    says its chance: ``share`` over how many there were to choose from. Without any the order stays. Ranks
    are not set.
    """
    pins = sum(1 for _ in takewhile(_pinned, hits))
    later = [h for h in hits[FIRST:] if h.product_id in competing and h.rule is None and new(h.product_id)]
    if not later or pins >= FIRST or any(FIXED.keys() & (h.parts or {}).keys() for h in hits[: pins + 1]):
        return list(hits)
    chosen = min(later, key=lambda h: _fraction("product", seed, h.product_id))
    place = pins + int(_fraction("place", seed) * (FIRST - pins))
    others = [h for h in hits if h is not chosen]
    moved = chosen.model_copy(update={"explored": share / len(later)})
    return [*others[:place], moved, *others[place:]]


def _pinned(hit: ScoredHit) -> bool:
    return hit.rule is not None and hit.rule.action is RuleAction.PIN


def _fraction(*of: str) -> float:
    """Return a number from 0 to 1, 1 not included, that looks random and follows from the texts alone."""
    digest = blake2b("\0".join(of).encode(errors="replace"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
