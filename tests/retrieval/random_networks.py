"""Networks of a ranker that nobody trained."""

import numpy as np

from retrieval.ranker import Networks


def random_networks(width: int, *, count: int = 2, seed: int = 1) -> Networks:
    """Return networks that read so many features."""
    rng = np.random.default_rng(seed)
    shapes = {
        "means": (width,),
        "first": (count, width, 5),
        "first_bias": (count, 5),
        "second": (count, 5, 3),
        "second_bias": (count, 3),
        "last": (count, 3),
    }
    return Networks(scales=np.full(width, 0.5), **{name: rng.normal(size=s) for name, s in shapes.items()})
