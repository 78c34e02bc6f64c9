"""Fit a ranker (``retrieval.ranker``) on validation queries, and keep it only where it proves itself.

Listwise: softmax cross-entropy of the scores against the gains, over the first candidates of each query. The
networks learn what to add to the sum of parts, bounded by how far the sums lie apart. Whether, and how
strongly, is decided on queries that the networks were not trained on. Deterministic for a seed.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from retrieval.ranker import FARTHEST, Networks, Values, features, read_by, write_ranker
from retrieval.ranking import RANKER, Parts
from schemas.releases import Ranking
from trainer.evaluation.bootstrap import clusters_of
from trainer.evaluation.files import RankerFacts
from trainer.evaluation.fusion import SHOWN
from trainer.evaluation.ranking_metrics import ndcg

MIN_QUERIES = 200  # with 150 nothing was gained
FOLDS = 3
NETWORKS = 6  # a single one gains half of what their mean does
UNITS, DEEPER = 16, 8
FIRST = 40  # candidates of a query that are learned from
STRENGTHS = (0.0, 0.5, 1.0)  # of the bound
SURE = 0.5  # standard errors by which it must be better: with 1, most that help were left out
STOPPING_SHARE = 0.2  # of the queries, other ones for each network, say when it has learned enough
EPOCHS, PATIENCE, BATCH = 50, 8, 96
RATE, DECAY = 5e-3, 1e-2
_ABSENT = -1e4
_SAME = 1e-6  # a part that is the same for all


class Example(NamedTuple):
    """One query: its candidates by rising id, the features, sums and gains of each, and all its gains."""

    query: str
    ids: list[str]
    rows: Values
    sums: Values
    gains: Values
    wanted: Mapping[str, float]

    @classmethod
    def of(cls, query: str, parts: Parts, wanted: Mapping[str, float], ranking: Ranking) -> "Example":
        """Take the parts that ``ranking`` sums."""
        names = read_by(ranking)
        ids, rows = features(parts, names)
        sums: Values = rows @ np.array([ranking.coefficients[name] for name in names])
        return cls(query, ids, rows, sums, np.array([wanted.get(i, 0.0) for i in ids]), wanted)

    def ndcg10(self, scores: Values) -> float:
        """Return what an order by these scores is worth."""
        first = np.argsort(-np.round(scores, 6), kind="stable")[:SHOWN]
        return ndcg([self.ids[n] for n in first], self.wanted)


@dataclass(frozen=True)
class FittedRanker:
    """``networks`` None: it did not prove itself. ``coefficient``: how strongly it counts."""

    facts: RankerFacts
    coefficient: float = 0.0
    networks: Networks | None = None


def fit_ranker(examples: Iterable[Example], *, seed: int) -> FittedRanker:
    """Return a ranker of all examples, if those fitted on some are better than the sum alone on the others.

    By ``SURE`` standard errors, paired by query; queries of the same words stay together. Queries without a
    gain among their candidates teach nothing.
    """
    known = [one for one in examples if one.gains.any()]
    if len(known) < MIN_QUERIES:
        return FittedRanker(RankerFacts(queries=len(known)))
    bound = float(np.mean([np.sort(one.sums)[-FIRST:].std() for one in known]))
    if bound <= 0:
        return FittedRanker(RankerFacts(queries=len(known)))
    clusters = clusters_of([one.query for one in known])
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(clusters.max()) + 1)[clusters]
    scored = np.zeros((len(known), len(STRENGTHS)))
    for held in range(FOLDS):
        networks = train([one for one, f in zip(known, fold, strict=True) if f != held], bound, seed=seed)
        for place in np.flatnonzero(fold == held).tolist():
            own = known[place]
            added = bound * networks.values(own.rows)
            scored[place] = [own.ndcg10(own.sums + strength * added) for strength in STRENGTHS]
    best = 1 + int(scored[:, 1:].mean(axis=0).argmax())
    gained = scored[:, best] - scored[:, 0]
    gain, error = float(gained.mean()), float(gained.std(ddof=1) / np.sqrt(len(gained)))
    kept = gain > SURE * error
    facts = RankerFacts(queries=len(known), gain=round(gain, 5), error=round(error, 5), kept=kept)
    if not kept:
        return FittedRanker(facts)
    return FittedRanker(facts, round(bound * STRENGTHS[best], 4), train(known, bound, seed=seed))


def keep(fitted: FittedRanker, ranking: Ranking, folder: Path) -> Ranking:
    """Return the ranking with the ranker, which is written into ``folder`` in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    if fitted.networks is None:
        return ranking
    digest = write_ranker(folder, fitted.networks, read_by(ranking))
    return ranking.model_copy(
        update={
            "coefficients": {**ranking.coefficients, RANKER: fitted.coefficient},
            "artefacts": {**ranking.artefacts, RANKER: (str(folder.absolute()), digest)},
        }
    )


def train(examples: Sequence[Example], bound: float, *, seed: int) -> Networks:
    """Return networks that learned what to add to the sums, at most ``bound``; all are trained side by side.

    Each stops where the loss of its own part of the queries, which it does not learn from, is least.
    """
    rows = np.concatenate([one.rows for one in examples])
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    scales = np.where(scales > _SAME, scales, 1.0)
    told, sums, shares = _padded(examples, means, scales)
    clusters = clusters_of([one.query for one in examples])
    draws = np.random.default_rng(seed).random((NETWORKS, int(clusters.max()) + 1))[:, clusters]
    learns = torch.tensor((draws >= STOPPING_SHARE).astype(np.float32))
    random = torch.Generator().manual_seed(seed)
    weights = _initial(len(means), bound, random)
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY)
    best = [weight.detach().clone() for weight in weights]
    least, since = torch.full((NETWORKS,), torch.inf), torch.zeros(NETWORKS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(examples), generator=random)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            loss = _losses(weights, told[batch], sums[batch], shares[batch], bound)
            own = learns[:, batch]
            torch.autograd.backward(((loss * own).sum(dim=1) / own.sum(dim=1).clamp(min=1.0)).sum())
            optimizer.step()
        with torch.no_grad():
            held = 1 - learns
            now = (_losses(weights, told, sums, shares, bound) * held).sum(dim=1) / held.sum(dim=1).clamp(1.0)
            better = now < least
            least, since = torch.where(better, now, least), torch.where(better, 0.0, since + 1)
            for kept, weight in zip(best, weights, strict=True):
                kept[better] = weight[better]
        if bool((since >= PATIENCE).all()):
            break
    first, first_bias, second, second_bias, last = (one.double().numpy() for one in best[:-1])
    return Networks(means, scales, first, first_bias, second, second_bias, last)


def _padded(
    examples: Sequence[Example], means: Values, scales: Values
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return features (q, c, f), sums (q, c) and shares of the gains (q, c) of the first candidates."""
    told = np.zeros((len(examples), FIRST, len(means)), dtype=np.float32)
    sums = np.full((len(examples), FIRST), _ABSENT, dtype=np.float32)
    shares = np.zeros((len(examples), FIRST), dtype=np.float32)
    for place, one in enumerate(examples):
        first: npt.NDArray[np.int64] = np.argsort(-np.round(one.sums, 6), kind="stable")[:FIRST]
        told[place, : len(first)] = np.clip((one.rows[first] - means) / scales, -FARTHEST, FARTHEST)
        sums[place, : len(first)] = one.sums[first]
        shares[place, : len(first)] = one.gains[first] / max(float(one.gains[first].sum()), 1e-9)
    return torch.tensor(told), torch.tensor(sums), torch.tensor(shares)


def _initial(width: int, bound: float, random: torch.Generator) -> list[torch.Tensor]:
    """Return weights and biases of both layers, the weights that begin with nothing, and the sharpness."""

    def uniform(*shape: int, inputs: int) -> torch.Tensor:
        drawn: torch.Tensor = torch.rand(NETWORKS, *shape, generator=random) * 2 - 1
        return drawn / float(np.sqrt(inputs))

    weights = [
        uniform(width, UNITS, inputs=width),
        uniform(UNITS, inputs=width),
        uniform(UNITS, DEEPER, inputs=UNITS),
        uniform(DEEPER, inputs=UNITS),
        torch.zeros(NETWORKS, DEEPER),
        torch.full((NETWORKS,), float(np.log(2.5 / bound))),
    ]
    return [weight.requires_grad_() for weight in weights]


def _losses(
    weights: Sequence[torch.Tensor],
    told: torch.Tensor,
    sums: torch.Tensor,
    shares: torch.Tensor,
    bound: float,
) -> torch.Tensor:
    """Return the cross-entropy of each query by each network (n, q)."""
    first, first_bias, second, second_bias, last, sharpness = weights
    flat = told.reshape(1, -1, told.shape[-1]).expand(NETWORKS, -1, -1)
    hidden = torch.relu(torch.baddbmm(first_bias[:, None], flat, first))
    deeper = torch.relu(torch.baddbmm(second_bias[:, None], hidden, second))
    added = torch.tanh(torch.bmm(deeper, last[:, :, None])).reshape(NETWORKS, *sums.shape)
    scores = sharpness.exp()[:, None, None] * (sums + bound * added)
    found: torch.Tensor = -(shares * torch.log_softmax(scores, dim=-1)).sum(dim=-1)
    return found
