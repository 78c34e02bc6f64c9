"""What the step ``split`` found: how much there is to train and to test, and where the fine-tune begins.

Knows no file.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Prepared(BaseModel):
    """What there is to train and to test.

    Pairs are distinct (query, product); ``start`` is where the fine-tune begins and why. ``late_rows``: rows
    of pair, day and action whose credit came so late that it does not count in full yet.
    """

    model_config = ConfigDict(frozen=True)

    newest_day: int
    cut_day: int
    test_days: int
    new_pairs: int
    old_pairs: int
    test_queries: int
    start: Literal["live", "base"]
    why: str
    late_rows: int = 0
