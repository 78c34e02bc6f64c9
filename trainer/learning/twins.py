"""Products with one text: to a model they are one product, so one of them stands for all while it is trained.

Pure.
"""

from collections.abc import Mapping
from hashlib import blake2b

import polars as pl

from schemas.text import normalise_query


def stand_ins(texts: Mapping[str, str]) -> dict[str, str]:
    """Return for each product whose text another one has too the smallest id that has it.

    Texts in the form in which they are encoded.

    >>> stand_ins({"b": "Red  shoe", "a": "red shoe", "c": "boot"})
    {'b': 'a'}
    """
    first: dict[bytes, str] = {}
    return {
        product: own
        for product in sorted(texts)
        if (own := first.setdefault(_digest(texts[product]), product)) != product
    }


def as_one(frame: pl.DataFrame, stand_ins: Mapping[str, str]) -> pl.DataFrame:
    """Return the frame with each product called by its stand-in; rows stay as many, and in their order."""
    if not stand_ins:
        return frame
    return frame.with_columns(pl.col("product_id").replace(stand_ins))


def _digest(text: str) -> bytes:
    return blake2b(normalise_query(text).encode(), digest_size=16).digest()
