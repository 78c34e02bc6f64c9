"""The addresses at which something is changed: what will happen, asked for first."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.bodies import BUSY, HttpFault
from api.console.consequences import consequence
from api.console.console_frame import Console
from api.console.console_releases import RELEASES
from api.console.console_runs import RUNS
from api.console.form_asking import ask, posted_form
from api.refusals import refusal


def act_routes(router: APIRouter, console: Console) -> None:
    """Add the page that says what will happen, and what it does."""
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
            form = await posted_form(request, place)
            if isinstance(form, HttpFault):
                return refusal(form)
            target = form.get("target")
            about = consequence(action, console.state, target)
            if about is None:
                return confirm(action, target, form, None)
            asked = await ask(operating, action, about, form, place)
        if isinstance(asked, HttpFault):
            return confirm(action, target, form, asked)
        return RedirectResponse(asked.address, 303)
