"""The addresses of the console. Every state of it has one."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.bodies import BUSY, Capacity, HttpFault, Place, read_body, wrong_type
from api.console.consequences import STANDING, consequence
from api.console.console_pages import page, static_file
from api.console.form_asking import FORM_TYPES, ask, fields_of_form
from api.console.gauges import EVERY_S, TopicGauges
from api.console.letter_pages import errors_of, pretty
from api.console.overview import alarms, kind_of, last_run, searchers, stages
from api.console.page_table import PageTable, file_links
from api.console.posted_files import MULTIPART, fields_with_files
from api.console.run_pace import pace
from api.console.run_pages import (
    ALL,
    by_segment,
    gate_rows,
    measured,
    moved,
    over_generations,
    segments_of,
)
from api.console.search_page import ConsoleSearch, SearchTold
from api.console.side_by_side import DEPTH, as_rows
from api.following import StateFollower
from api.letter_routes import Replaying
from api.operating import Operating
from api.refusals import refusal
from api.telling import command_told, trigger_told
from api.wishes import wish_of
from operations.moments import history
from schemas.bounds import IMAGE_BYTES, REQUEST_BYTES
from schemas.operator_http import ReplayAnswer, ReplayWish
from schemas.training import Decision

OVERVIEW, SEARCH, RUNS, RELEASES = "/console", "/console/search", "/console/runs", "/console/releases"
LETTERS = "/console/data"
_SHOWN = 50
PICTURE_FORM = IMAGE_BYTES + REQUEST_BYTES
# A browser that listens begins anew after so long, so that none is held for ever.
_LISTEN_S = 300.0
_LISTENERS = 64


class Console:
    """What its pages are made of."""

    def __init__(
        self,
        operating: Operating,
        replaying: Replaying,
        gauges: TopicGauges,
        search: ConsoleSearch,
        stopping: asyncio.Event,
    ) -> None:
        self.replaying = replaying
        self.operating = operating
        self.follower: StateFollower = operating.follower
        self.state = operating.state
        self.gauges = gauges
        self.search = search
        self._stopping = stopping
        self._listening = Capacity(_LISTENERS, 0)

    def shown(
        self,
        template: str,
        *,
        section: str,
        status: int = 200,
        files: Sequence[tuple[str, str]] = (),
        **shown: object,
    ) -> Response:
        """Return a page, and as of when it holds."""
        return page(template, section=section, status=status, files=files, as_of=self.follower.as_of, **shown)

    def tabled(
        self,
        request: Request,
        own: PageTable,
        template: str,
        *,
        section: str,
        status: int = 200,
        **shown: object,
    ) -> Response:
        """Return a page, or its table as the file that the address asks for."""
        if (file := own.asked(request)) is not None:
            return file
        files = file_links(request) if own.rows and request.method == "GET" else ()
        return self.shown(template, section=section, status=status, files=files, **shown)

    def listen(self) -> Place | None:
        """Return a place to listen from; None where as many listen as may."""
        return self._listening.enter()

    async def changes(self, place: Place) -> AsyncIterator[str]:
        """Yield an event whenever there is something new to show, at least every two seconds."""
        with place:
            async for event in self._events():
                yield event

    async def _events(self) -> AsyncIterator[str]:
        end = asyncio.get_running_loop().time() + _LISTEN_S
        while not self._stopping.is_set() and asyncio.get_running_loop().time() < end:
            self.gauges.watched()
            yield "event: changed\ndata: \n\n"
            await self.follower.next_move(within_s=EVERY_S)


def console_routes(console: Console) -> APIRouter:
    """Return the routes of the console."""
    router = APIRouter()
    for part in (_frame, _overview, _search, _runs, _releases, _letters, _acts):
        part(router, console)
    return router


def _frame(router: APIRouter, console: Console) -> None:
    @router.get("/console/static/{name}")
    async def console_static(name: str) -> Response:
        found = static_file(name)
        return found or refusal(HttpFault(404, "not_found", "there is no such file"))

    @router.get("/console/live")
    async def console_live() -> Response:
        place = console.listen()
        if place is None:
            return refusal(BUSY)
        return StreamingResponse(console.changes(place), media_type="text/event-stream")


def _overview(router: APIRouter, console: Console) -> None:
    @router.get(OVERVIEW)
    async def console_overview(request: Request) -> Response:
        console.gauges.watched()
        state, now = console.state, datetime.now(UTC)
        steps = stages(state, console.gauges, now)
        return console.tabled(
            request,
            PageTable("loop", [asdict(step) for step in steps]),
            "overview.html",
            section=OVERVIEW,
            stages=steps,
            alarms=alarms(state, console.gauges, now),
            pointer=state.releases.pointer,
            kind=kind_of(state),
            run=last_run(state),
            searchers=searchers(state, now),
        )


def _search(router: APIRouter, console: Console) -> None:
    def shown(request: Request, asked: dict[str, str], told: SearchTold | None) -> Response:
        return console.tabled(
            request,
            PageTable("search", as_rows(told.answers if told else [])),
            "search.html",
            section=SEARCH,
            asked=asked,
            told=told,
            depth=DEPTH,
            pointer=console.state.releases.pointer,
        )

    @router.get(SEARCH)
    async def console_search(request: Request) -> Response:
        asked = dict(request.query_params)
        return shown(
            request, asked, await console.search.answer(asked) if asked.get("q", "").strip() else None
        )

    @router.post(SEARCH)
    async def console_search_by_picture(request: Request) -> Response:
        place = console.operating.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            body = wrong_type(request, {MULTIPART}) or await read_body(request, place, most=PICTURE_FORM)
            if isinstance(body, HttpFault):
                return refusal(body)
            form = fields_with_files(request.headers["content-type"], body)
            asked = {name: form[name].decode(errors="replace") for name in form.keys() & {"q", "alone"}}
            return shown(request, asked, await console.search.answer(asked, form.get("image", b"")))


def _runs(router: APIRouter, console: Console) -> None:
    state = console.state

    @router.get(RUNS)
    async def console_runs(request: Request) -> Response:
        trigger = state.triggers.get(request.query_params.get("trigger", ""))
        runs = sorted(state.runs, key=lambda run: run.run_id, reverse=True)
        evaluations, segment = list(state.evaluations), request.query_params.get("segment", ALL)
        return console.tabled(
            request,
            PageTable("runs", [run.model_dump(mode="json") for run in runs[:_SHOWN]]),
            "runs.html",
            section=RUNS,
            runs=runs[:_SHOWN],
            more=len(runs) > _SHOWN,
            trigger=trigger_told(state, trigger) if trigger else None,
            chart=over_generations(evaluations, segment),
            segment=segment,
            segments=segments_of(evaluations),
        )

    @router.get("/console/runs/{run_id:before_colon}")
    async def console_run(request: Request, run_id: str) -> Response:
        run = state.runs.get(run_id)
        if run is None:
            return console.shown(
                "missing.html", section=RUNS, status=404, what=f"There is no run {run_id}.", back=RUNS
            )
        raw = state.decisions.get(run_id)
        decision = Decision.from_json(raw) if raw else None
        rows = gate_rows(decision) if decision else []
        return console.tabled(
            request,
            PageTable("checks", [row.check.model_dump(mode="json") for row in rows]),
            "run.html",
            section=RUNS,
            run=run,
            decision=decision,
            rows=rows,
            table=measured(decision) if decision else None,
            segments=by_segment(decision) if decision else [],
            moved=moved(decision) if decision else [],
            pace=pace(state.seen_first.get(run_id), run),
        )


def _releases(router: APIRouter, console: Console) -> None:
    state = console.state

    @router.get(RELEASES)
    async def console_releases(request: Request) -> Response:
        command = state.commands.get(request.query_params.get("command", ""))
        periods = history(list(state.history)[::-1])[::-1]
        releases = [r for r in state.releases.releases[::-1] if r.kind == "full" or r.state in STANDING]
        return console.tabled(
            request,
            PageTable("releases", [one.model_dump(mode="json") for one in releases[:_SHOWN]]),
            "releases.html",
            section=RELEASES,
            pointer=state.releases.pointer,
            kind=kind_of(state),
            periods=periods[:_SHOWN],
            more=len(periods) > _SHOWN,
            releases=releases[:_SHOWN],
            standing=STANDING,
            command=command_told(state, command, datetime.now(UTC)) if command else None,
        )


def _letters(router: APIRouter, console: Console) -> None:
    letters = console.replaying.letters

    def listed(
        request: Request, replayed: ReplayAnswer | None = None, fault: HttpFault | None = None
    ) -> Response:
        chosen = {name: request.query_params.get(name) or None for name in ("topic", "reason")}
        found = letters.chosen(**chosen)
        told = [letters.told(one) for one in found[:_SHOWN]]
        return console.tabled(
            request,
            PageTable("dead-letters", [one.model_dump(mode="json") for one in told]),
            "letters.html",
            section=LETTERS,
            counts=letters.counts(),
            chosen=chosen,
            letters=told,
            more=len(found) > _SHOWN,
            replayed=replayed,
            fault=fault,
            status=fault.status if fault else 200,
        )

    @router.get(LETTERS)
    async def console_letters(request: Request) -> Response:
        return listed(request)

    @router.get("/console/data/{topic}/{offset:int}")
    async def console_letter(topic: str, offset: int) -> Response:
        letter = letters.get(topic, offset)
        if letter is None:
            what = f"No letter {offset} of {topic} is kept here."
            return console.shown("missing.html", section=LETTERS, status=404, what=what, back=LETTERS)
        told = letters.told(letter, whole=True)
        return console.shown(
            "letter.html", section=LETTERS, letter=told, errors=errors_of(told), pretty=pretty(told)
        )

    @router.post("/console/data")
    async def console_replay(request: Request) -> Response:
        place = console.replaying.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            body = wrong_type(request, FORM_TYPES) or await read_body(request, place, most=REQUEST_BYTES)
            if isinstance(body, HttpFault):
                return refusal(body)
            fields = {name: value for name, value in fields_of_form(body).items() if value}
            wish = wish_of(json.dumps(fields).encode(), ReplayWish)
            done = wish if isinstance(wish, HttpFault) else await console.replaying.replay(wish, place)
        fault = done if isinstance(done, HttpFault) else None
        return listed(request, None if isinstance(done, HttpFault) else done, fault)


def _acts(router: APIRouter, console: Console) -> None:
    operating = console.operating

    def confirm(action: str, target: str | None, form: dict[str, str], fault: HttpFault | None) -> Response:
        about = consequence(action, console.state, target)
        section = RUNS if action in {"train", "refresh", "cancel"} else RELEASES
        if about is None:
            return console.shown(
                "missing.html", section=section, status=404, what="There is no such action.", back=section
            )
        return console.shown(
            "confirm.html",
            section=section,
            status=fault.status if fault else 200,
            about=about,
            action=action,
            target=target or "",
            form=form,
            fault=fault,
            new_id=form.get("command_id") or operating.new_id(),
        )

    @router.get("/console/act/{action}")
    async def console_confirm(request: Request, action: str) -> Response:
        return confirm(action, request.query_params.get("target"), {}, None)

    @router.post("/console/act/{action}")
    async def console_act(request: Request, action: str) -> Response:
        place = operating.capacity.enter()
        if place is None:
            return confirm(action, None, {}, BUSY)
        with place:
            body = wrong_type(request, FORM_TYPES) or await read_body(request, place, most=REQUEST_BYTES)
            if isinstance(body, HttpFault):
                return refusal(body)
            form = fields_of_form(body)
            target = form.get("target")
            about = consequence(action, console.state, target)
            if about is None:
                return confirm(action, target, form, None)
            asked = await ask(operating, action, about, form, place)
        if isinstance(asked, HttpFault):
            return confirm(action, target, form, asked)
        return RedirectResponse(asked.address, 303)
