"""Sum the parts of a score by their coefficients, as serving does.

Pure. Evaluation ranks by ``trainer.evaluation`` on its own.
"""

from collections.abc import Mapping

from schemas.releases import Ranking


class RankingError(ValueError):
    """A ranking names a part that nobody computed."""


def rank(parts: Mapping[str, Mapping[str, float]], ranking: Ranking, k: int) -> list[tuple[str, float]]:
    """Return at most k ``(product_id, score)``, best first, a tie by the smaller id.

    ``parts`` maps the part's name to product to value. A product that a part does not hold counts 0 there;
    all products of all weighted parts compete. A part without a coefficient is ignored. Raises
    ``RankingError`` for a weighted part that is missing.

    >>> ranking = Ranking(coefficients={"dense": 1.0, "prior": 0.5})
    >>> rank({"dense": {"a": 0.5, "b": 0.25}, "prior": {"b": 1.0}}, ranking, 2)
    [('b', 0.75), ('a', 0.5)]
    """
    weights = {name: weight for name, weight in ranking.coefficients.items() if weight != 0.0}
    missing = sorted(weights.keys() - parts.keys())
    if missing:
        raise RankingError(
            f"the ranking weighs {', '.join(missing)}, but only {', '.join(sorted(parts)) or 'nothing'} "
            "was computed"
        )
    scores: dict[str, float] = {}
    for name in sorted(weights):
        for product_id, value in parts[name].items():
            scores[product_id] = scores.get(product_id, 0.0) + weights[name] * value
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]
