"""What a verdict rests on: the measured numbers as arrays. Knows no file, no model and no limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from trainer.artefact import Artefact
from trainer.bootstrap import Floats, Ints

Verdict = Literal["pass", "fail", "inconclusive"]
Bools = npt.NDArray[np.bool_]
DOUBTFUL = 0.5


class DataFacts(BaseModel):
    """What is known of the data of a run. Shares are of credit. ``received`` and ``refused`` count raw records of late; None: not counted.

    ``category_shift`` and ``length_shift`` compare the test with what is trained: the greatest difference of a category's share, and the
    Jensen-Shannon distance of the queries' numbers of words, both from 0 to 1. ``volume_ratio``: credit a day, test to training.
    """

    model_config = ConfigDict(frozen=True)

    pairs: int
    clients: int
    client_share: float
    query_share: float
    received: int | None = None
    refused: int | None = None
    category_shift: float | None = None
    length_shift: float | None = None
    volume_ratio: float | None = None


class Exposure(BaseModel):
    """Which products the first ten of all test queries show. ``new`` is the share of places held by products without credit in training."""

    model_config = ConfigDict(frozen=True)

    coverage: float
    gini: float
    new: float


class Pinned(BaseModel):
    """One pinned query: the products that must be among the candidate's first ``k``, and those that are not."""

    model_config = ConfigDict(frozen=True)

    query: str
    k: int
    products: list[str]
    missing: list[str]


def digest_of(query: str) -> str:
    """Return what stands for a query where a shopper's words may not be kept for ever: 12 hexadecimal digits of its SHA-256."""
    return sha256(query.encode()).hexdigest()[:12]


class RankChange(BaseModel):
    """A product that the candidate ranks higher than live for a query by which it was trained. Rank 11: not among the first ten.

    ``credit``: what the pair is trained by. ``clients``: as many as the pair still names. ``believed``: the share of its credit that
    ``trust`` lets count.
    """

    model_config = ConfigDict(frozen=True)

    query: str
    product_id: str
    before: int
    after: int
    credit: float
    clients: int
    believed: float

    @property
    def doubtful(self) -> bool:
        """Whether less than half of the pair's credit is believed."""
        return self.believed < DOUBTFUL


def doubtful_first(changes: Sequence[RankChange]) -> list[RankChange]:
    """Return the changes, the doubtful ones before the others, otherwise in their order."""
    return sorted(changes, key=lambda change: not change.doubtful)


@dataclass(frozen=True)
class Evidence:
    """What was measured, by system (candidate, live, base, best, bm25, popularity): arrays (queries,) in one common order.

    ``segments`` are masks (queries,) by name; ``problems`` say why a system has no numbers. ``further``: other metrics by name and system.
    ``traffic`` and ``revenue`` weigh queries. ``categories`` and ``clients`` say to which category a query belongs and which one client
    holds most of its credit ("": none). ``overlap`` is the mean agreement of the first ten with live's. ``judged``: nDCG@10 by named set
    of judgments and system. ``rank_changes``: the greatest first. ``pinned`` None: the pinned queries could not be checked,
    ``problems["pinned"]`` says why.
    """

    ndcg10: Mapping[str, Floats]
    best_in_10: Mapping[str, Bools]
    segments: Mapping[str, Bools]
    artefacts: Mapping[str, Artefact]
    problems: Mapping[str, str]
    further: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    clusters: Ints | None = None
    traffic: Floats | None = None
    revenue: Floats | None = None
    categories: Sequence[str] = ()
    clients: Sequence[str] = ()
    data: DataFacts | None = None
    exposure: Mapping[str, Exposure] = field(default_factory=dict)
    overlap: float | None = None
    judged: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    pinned: Sequence[Pinned] | None = ()
    rank_changes: Sequence[RankChange] = ()

    @property
    def queries(self) -> int:
        """Return the number of test queries."""
        return len(next(iter(self.ndcg10.values()), ()))
