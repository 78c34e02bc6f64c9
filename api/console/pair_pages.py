"""The page of what was learnt for one query: its products, and their credit by day and action."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import HttpFault
from api.console.console_pages import page
from api.console.day_bars import day_bars
from api.console.page_table import Cells, PageTable, file_links
from api.console.query_pages import QUERIES
from api.following import StateFollower
from api.known_pictures import KnownPictures
from api.query_pairs import PairReading
from schemas.pairs import Pair, credit_of, day_text
from schemas.text import normalise_query

_SHOWN = 50


@dataclass(frozen=True)
class PairShown:
    """A product of the query: its credit, whole and by action, and from which days it is."""

    pair: Pair
    credit: float
    by_action: Sequence[tuple[str, float]]
    first: str
    last: str


def pair_pages(read: PairReading, pictured: KnownPictures, follower: StateFollower) -> APIRouter:
    """Return the route of the page."""
    router = APIRouter()

    @router.get(f"{QUERIES}/pairs")
    async def console_pairs(request: Request) -> Response:
        query = normalise_query(request.query_params.get("q", ""))
        pairs: list[Pair] | HttpFault = await read(query) if query else []
        fault, found = (pairs, list[Pair]()) if isinstance(pairs, HttpFault) else (None, pairs)
        own = PageTable("pairs", [row for pair in found for row in pair_rows(pair)])
        return own.asked(request) or page(
            "pairs.html",
            section=QUERIES,
            status=fault.status if fault else 200,
            files=file_links(request) if own.rows else (),
            as_of=follower.as_of,
            fault=fault,
            query=query,
            rows=[shown(pair) for pair in found[:_SHOWN]],
            more=max(0, len(found) - _SHOWN),
            bars=day_bars(found),
            pictures=await pictured.of(pair.product_id for pair in found[:_SHOWN]),
        )

    return router


def shown(pair: Pair) -> PairShown:
    """Return a pair, which has a day, as the page shows it."""
    sums = Counter[str]()
    for actions in pair.days.values():
        for action, (credit, _, _) in actions.items():
            sums[action.value] += credit
    by_action = [(action, credit / 1000) for action, credit in sorted(sums.items())]
    return PairShown(pair, credit_of(pair), by_action, day_text(min(pair.days)), day_text(max(pair.days)))


def pair_rows(pair: Pair) -> list[Cells]:
    """Return each day and action of a pair as cells, the newest day first; credit and revenue are whole."""
    return [
        {
            "query": pair.query, "product_id": pair.product_id, "day": day_text(day), "action": action.value,
            "credit": credit / 1000, "units": units, "revenue": revenue / 100,
        }
        for day in sorted(pair.days, reverse=True)
        for action, (credit, units, revenue) in sorted(pair.days[day].items())
    ]  # fmt: skip
