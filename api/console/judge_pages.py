"""The pages on which a person judges: sets, the queries of one, and the answers to a query rated 0 to 3."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import RedirectResponse, Response

from api.bodies import BUSY, HttpFault, Place
from api.console.console_pages import page
from api.console.form_asking import posted_form
from api.console.judging_forms import (
    SHOWN_HITS,
    JudgedHit,
    imported_wish,
    queries_to_judge,
    rated_wish,
)
from api.console.search_page import ConsoleSearch
from api.judgment_state import set_of, sets_of
from api.operating import Operating
from api.recent_queries import RecentQueries
from api.refusals import refusal
from operations.judgment_lines import as_csv, as_lines
from schemas.bounds import JUDGED_BYTES
from schemas.judged_queries import SetName
from schemas.operator_http import JudgmentsWish, JudgmentsWritten, QueryCount
from schemas.text import normalise_query

JUDGE = "/console/judge"
_NAME: TypeAdapter[str] = TypeAdapter(SetName)
_BAD_NAME = HttpFault(
    422, "unfit", "A set is called by up to 40 of a-z, 0-9, point, dash and underscore, as house-2026."
)


class JudgeDesk:
    """What the pages are made of."""

    def __init__(self, operating: Operating, recent: RecentQueries, search: ConsoleSearch) -> None:
        self.operating = operating
        self.state = operating.state
        self._recent = recent
        self._search = search

    async def shown(self, asked: Mapping[str, str], fault: HttpFault | None = None) -> Response:
        """Return the page that an address names: the sets, a set, or a query of it."""
        name, query = asked.get("set", "").strip(), normalise_query(asked.get("q", ""))
        if name and not _is_name(name):
            name, fault = "", fault or _BAD_NAME
        found = await self._recent.found()
        if isinstance(found, HttpFault):
            fault, frequent = fault or found, list[QueryCount]()
        else:
            frequent = found.queries
        rows = queries_to_judge(self.state, name, frequent)
        hits, told = list[JudgedHit](), None
        if name and query:
            told = await self._search.answer({"q": query, "alone": "yes"})
            there = self.state.judged.get((name, query))
            hits = [
                JudgedHit(one.hit, None if there is None else there.ratings.get(one.hit.product_id))
                for answer in told.answers
                for one in answer.hits[:SHOWN_HITS]
            ]
        following = next((row.query for row in rows if not row.judged and row.query != query), None)
        return page(
            "judge.html",
            section=JUDGE,
            status=fault.status if fault else 200,
            as_of=self.operating.follower.as_of,
            fault=fault,
            name=name,
            query=query,
            actor=asked.get("actor", ""),
            saved=asked.get("saved", ""),
            sets=sets_of(self.state),
            rows=rows,
            done=sum(row.judged > 0 for row in rows),
            search_fault=None if told is None else told.fault or next((a.fault for a in told.answers), None),
            hits=hits,
            pictures=told.pictures if told else {},
            following=following,
        )

    async def save(self, form: Mapping[str, str], wish: JudgmentsWish | HttpFault, place: Place) -> Response:
        """Put what a form says into its set, and go on with the next query; or show what is wrong with it."""
        done: JudgmentsWritten | HttpFault = (
            wish if isinstance(wish, HttpFault) else await self.operating.judge(wish, place)
        )
        if isinstance(done, HttpFault):
            return await self.shown(form, done)
        following = form.get("following", "")
        where = {"set": done.name, "actor": form.get("actor", ""), "saved": form.get("q", "")}
        return RedirectResponse(f"{JUDGE}?{urlencode(where | ({'q': following} if following else {}))}", 303)


def judge_pages(desk: JudgeDesk) -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter()

    @router.get(JUDGE)
    async def console_judge(request: Request) -> Response:
        return await desk.shown(request.query_params)

    @router.post(JUDGE)
    async def console_rate(request: Request) -> Response:
        return await _posted(request, desk, rated=True)

    @router.post(f"{JUDGE}/import")
    async def console_import(request: Request) -> Response:
        return await _posted(request, desk, rated=False)

    @router.get(f"{JUDGE}/{{name}}.csv")
    async def console_judged_csv(name: str) -> Response:
        return _exported(desk, name, "csv")

    @router.get(f"{JUDGE}/{{name}}.jsonl")
    async def console_judged_lines(name: str) -> Response:
        return _exported(desk, name, "jsonl")

    return router


async def _posted(request: Request, desk: JudgeDesk, *, rated: bool) -> Response:
    place = desk.operating.capacity.enter()
    if place is None:
        return refusal(BUSY)
    with place:
        form = await posted_form(request, place, most=JUDGED_BYTES)
        if isinstance(form, HttpFault):
            return refusal(form)
        return await desk.save(form, rated_wish(form) if rated else imported_wish(form), place)


def _exported(desk: JudgeDesk, name: str, kind: str) -> Response:
    ratings = {one.query: one.ratings for one in set_of(desk.state, name)}
    if not ratings:
        return refusal(HttpFault(404, "not_found", f"there is no judgment set {name!r}"))
    text, media_type = (
        (as_csv(ratings), "text/csv") if kind == "csv" else (as_lines(ratings), "application/x-ndjson")
    )
    named = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(text, headers=named, media_type=media_type)


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True
