"""One query answered in several ways: what stands where, what moved, and what each score is made of. Pure.

The first answer is that of what serves; all others are told beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.console.figures import Share, shares
from schemas.search import LIVE, RankingAsked, ScoredHit, SearchResponse, Timings

SHOWN = 10
# What serves is asked so deep, to know where it has what others have in front.
DEPTH = 30
NAMES: Mapping[RankingAsked, str] = {
    "live": "Serves",
    "previous": "Served before",
    "dense": "Encoder alone",
    "words": "BM25 alone",
    "base": "Pretrained model alone",
}


@dataclass(frozen=True)
class ShownHit:
    """A hit with its parts drawn.

    ``elsewhere``: its rank in each other answer, by name, as far as it is there. ``moved``: by how many ranks
    it stands higher in what serves than in this answer; None where it is not among the first ``DEPTH`` there.
    ``made_of``: the parts of its score in what serves, in words.
    """

    hit: ScoredHit
    pieces: Sequence[Share]
    elsewhere: Mapping[str, int]
    moved: int | None = None
    made_of: str = ""


@dataclass(frozen=True)
class AnswerShown:
    """One of the answers. ``fault``: why it lacks hits, or a part of its score."""

    ranking: RankingAsked
    name: str
    response: SearchResponse
    hits: Sequence[ShownHit]
    http_ms: float
    times: Sequence[Share]
    fault: str | None


def side_by_side(
    answers: Mapping[RankingAsked, SearchResponse], took_ms: Mapping[RankingAsked, float]
) -> list[AnswerShown]:
    """Return the answers as they are shown, what serves first. ``took_ms``: of each, Kafka included."""
    longest = max(took_ms.values(), default=0.0)
    ranks = {ranking: {h.product_id: h.rank for h in one.hits} for ranking, one in answers.items()}
    live = {h.product_id: h for h in answers[LIVE].hits}
    found = []
    for ranking, response in answers.items():
        first = response.hits[:SHOWN]
        greatest = max((sum((h.parts or {}).values()) for h in first), default=0.0)
        hits = [_shown(h, ranking, greatest, ranks, live) for h in first]
        fault = response.error.message if response.error else None
        times = shares(_pieces(response.timings, took_ms[ranking]), longest)
        found.append(AnswerShown(ranking, NAMES[ranking], response, hits, took_ms[ranking], times, fault))
    return found


def as_rows(answers: Sequence[AnswerShown]) -> list[dict[str, object]]:
    """Return every hit of every answer as cells of one table."""
    return [
        {
            "ranking": answer.ranking,
            "generation": answer.response.generation,
            "rank": one.hit.rank,
            "product_id": one.hit.product_id,
            "title": one.hit.fields.get("title"),
            "brand": one.hit.fields.get("brand"),
            "price": one.hit.fields.get("price"),
            "score": one.hit.score,
            "parts": dict(one.hit.parts or {}),
            "higher_in_live_by": one.moved,
        }
        for answer in answers
        for one in answer.hits
    ]


def _shown(
    hit: ScoredHit,
    ranking: RankingAsked,
    greatest: float,
    ranks: Mapping[RankingAsked, Mapping[str, int]],
    live: Mapping[str, ScoredHit],
) -> ShownHit:
    elsewhere = {
        NAMES[other]: own[hit.product_id]
        for other, own in ranks.items()
        if other != ranking and hit.product_id in own
    }
    there = live.get(hit.product_id)
    parts = (there.parts if there else None) or {}
    return ShownHit(
        hit,
        shares(hit.parts or {}, greatest),
        elsewhere,
        moved=hit.rank - there.rank if there else None,
        made_of=", ".join(f"{name} {value:.3f}" for name, value in parts.items()),
    )


def _pieces(timings: Timings, http_ms: float) -> dict[str, float]:
    """Return where the time of a search went, in ms: what is left of it is Kafka and this process."""
    inside = {"queue": timings.queue_ms, "encode": timings.embed_ms, "search": timings.search_ms}
    return inside | {"Kafka and the rest": max(0.0, http_ms - sum(inside.values()))}
