"""What a verdict rests on: the measured numbers as arrays. Knows no file, no model and no limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from trainer.evaluation.artefact import Artefact
from trainer.evaluation.bootstrap import Floats, Ints
from trainer.evaluation.rank_changes import RankChange

Verdict = Literal["pass", "fail", "inconclusive"]
Bools = npt.NDArray[np.bool_]


class DataFacts(BaseModel):
    """What is known of the data of a run.

    Shares are of credit. ``received`` and ``refused`` count raw records of late; None: not counted.
    ``category_shift`` and ``length_shift`` compare the test with what is trained: the greatest difference of
    a category's share, and the Jensen-Shannon distance of the queries' numbers of words, both from 0 to 1.
    ``volume_ratio``: credit a day, test to training.
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
    """Which products the first ten of all test queries show.

    ``new`` is the share of places held by products without credit in training.
    """

    model_config = ConfigDict(frozen=True)

    coverage: float
    gini: float
    new: float


class Pinned(BaseModel):
    """One pinned query.

    The products that must be among the candidate's first ``k``, and those that are not.
    """

    model_config = ConfigDict(frozen=True)

    query: str
    k: int
    products: list[str]
    missing: list[str]


@dataclass(frozen=True)
class GateEvidence:
    """What was measured, by system (candidate, live, base, best, bm25, popularity).

    Arrays (queries,) in one common order. ``segments`` are masks (queries,) by name; ``problems`` say why a
    system has no numbers. ``further``: other metrics by name and system. ``traffic`` and ``revenue`` weigh
    queries. ``categories`` and ``clients`` say to which category a query belongs and which one client holds
    most of its credit ("": none). ``overlap`` is the mean agreement of the first ten with live's. ``judged``:
    nDCG@10 by named set of judgments and system. ``rank_changes``: the greatest first. ``pinned`` None: the
    pinned queries could not be checked, ``problems["pinned"]`` says why.
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
