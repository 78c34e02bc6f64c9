"""What a ranker shows of the catalogue, and how far two rankers agree. Pure."""

from collections.abc import Collection, Sequence

import numpy as np

from trainer.gate.evidence import Exposure

PERSISTENCE = 0.9


def exposure_of(tops: Sequence[Sequence[str]], catalog: Collection[str], known: Collection[str]) -> Exposure:
    """Return how evenly the first ten of all queries show the catalogue.

    ``known``: the products with credit in training. No queries, or no products, give zeros.
    """
    places: dict[str, int] = {}
    for shown in tops:
        for product in shown[:10]:
            places[product] = places.get(product, 0) + 1
    total, size = sum(places.values()), len(catalog)
    if not total or not size:
        return Exposure(coverage=0.0, gini=0.0, new=0.0)
    counts = np.zeros(max(size, len(places)))
    counts[: len(places)] = np.sort(list(places.values()))
    counts.sort()
    ranks = np.arange(1, len(counts) + 1)
    gini = float((2 * ranks - len(counts) - 1) @ counts / (len(counts) * total))
    old = set(known)
    new = sum(count for product, count in places.items() if product not in old)
    return Exposure(coverage=len(places) / size, gini=gini, new=new / total)


def overlap(first: Sequence[str], second: Sequence[str], k: int = 10) -> float:
    """Return the rank-biased overlap of two lists cut at k (Webber et al., 2010).

    Scaled so that equal lists give 1; both empty: 1.

    >>> overlap(["a", "b"], ["a", "b"]), overlap(["a"], ["b"])
    (1.0, 0.0)
    """
    depth = min(k, max(len(first), len(second)))
    if not depth:
        return 1.0
    left, right = set[str](), set[str]()
    agreed = total = 0.0
    for place in range(depth):
        left.update(first[place : place + 1])
        right.update(second[place : place + 1])
        weight = PERSISTENCE**place
        agreed += weight * len(left & right) / (place + 1)
        total += weight
    return agreed / total
