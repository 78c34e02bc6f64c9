"""What is judged next, and what the forms of the judge say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from api.bodies import HttpFault
from api.operator_state import OperatorState
from api.wishes import unfit
from operations.judgment_lines import read_judgments
from schemas.bounds import JUDGED_AT_ONCE
from schemas.operator_http import JudgmentsWish, QueryCount
from schemas.search import ScoredHit

# A person rates what stands first: the answers that nDCG@10 is of.
SHOWN_HITS = 10
_QUERIES = 200
_PROBLEMS = 5


@dataclass(frozen=True)
class JudgedHit:
    """An answer, and how relevant the set says it is; None where it does not."""

    hit: ScoredHit
    relevance: float | None

    @property
    def chosen(self) -> str:
        """Return the value of the form that is chosen; empty: not rated."""
        return "" if self.relevance is None else f"{self.relevance:g}"

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Return the values that may be chosen, and how each is shown; one from a file stays what it is."""
        values = ["", "0", "1", "2", "3"]
        return [(value, value or "none") for value in [*values, *({self.chosen} - {*values})]]


@dataclass(frozen=True)
class QueryToJudge:
    """A query, how often it was searched lately, and how many products the set rates for it."""

    query: str
    searches: int
    judged: int


def queries_to_judge(state: OperatorState, name: str, frequent: Sequence[QueryCount]) -> list[QueryToJudge]:
    """Return the most frequent queries, and behind them those of the set that are not among these."""
    counts = {one.query: one.searches for one in frequent[:_QUERIES] if one.unanswered < one.searches}
    rated = {query: len(one.ratings) for (own, query), one in state.judged.items() if own == name}
    others = sorted(rated.keys() - counts.keys())[:_QUERIES]
    return [QueryToJudge(query, counts.get(query, 0), rated.get(query, 0)) for query in [*counts, *others]]


def rated_wish(form: Mapping[str, str]) -> JudgmentsWish | HttpFault:
    """Return the ratings of one page: ``p0`` is a product, ``r0`` its relevance; empty: none."""
    ratings = [
        {
            "query": form.get("q", ""),
            "product_id": form[f"p{n}"],
            "relevance": form.get(f"r{n}") or None,
        }
        for n in range(SHOWN_HITS)
        if form.get(f"p{n}")
    ]
    return _wish(form, ratings)


def imported_wish(form: Mapping[str, str]) -> JudgmentsWish | HttpFault:
    """Return the ratings of pasted JSON lines or CSV; every line must be right."""
    lines = form.get("text", "").encode(errors="replace").splitlines()
    found, problems = read_judgments(lines)
    if problems:
        told = "; ".join(f"line {one.line}: {one.reason}" for one in problems[:_PROBLEMS])
        return unfit(f"{len(problems)} of the lines are wrong, and none is taken: {told}"[:500])
    ratings = [
        {"query": query, "product_id": product, "relevance": relevance}
        for query, rated in found.items()
        for product, relevance in rated.items()
    ]
    if len(ratings) > JUDGED_AT_ONCE:
        return unfit(f"{len(ratings)} ratings at once; {JUDGED_AT_ONCE} are the most")
    return _wish(form, ratings)


def _wish(form: Mapping[str, str], ratings: Sequence[Mapping[str, object]]) -> JudgmentsWish | HttpFault:
    try:
        return JudgmentsWish.model_validate(
            {"actor": form.get("actor", ""), "name": form.get("set", ""), "judgments": ratings}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part)[:100] for part in first["loc"])
        return unfit(f"{place}: {first['msg']}"[:500])
