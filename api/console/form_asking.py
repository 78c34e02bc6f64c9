"""What a form of the console asks for, carried out as the routes for programs carry it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from pydantic import ValidationError
from starlette.requests import Request

from api.bodies import HttpFault, Place, read_body, wrong_type
from api.console.consequences import Consequence
from api.operating import Operating
from api.roles import caller_of
from api.wishes import cancel_of, command_of, trigger_of, unfit
from schemas.bounds import REQUEST_BYTES
from schemas.operator_http import (
    CancelWish,
    CommandTold,
    MarkWish,
    PromoteWish,
    RollbackWish,
    TriggerTold,
    TriggerWish,
)
from schemas.releases import DeploymentAction

FORM_TYPES = frozenset({"application/x-www-form-urlencoded"})
# More than the page of a judged query has.
_MOST_FIELDS = 50
# So long a page waits for the indexer before it shows that the answer is still to come.
_WAIT_S = 10.0
_MARKS: Mapping[str, DeploymentAction] = {name: name for name in ("pin", "unpin", "pause", "resume", "abort")}


@dataclass(frozen=True)
class SeenAt:
    """Where a browser goes to see what became of it."""

    address: str


async def posted_form(
    request: Request, place: Place, *, most: int = REQUEST_BYTES
) -> dict[str, str] | HttpFault:
    """Return the fields of a posted form; of a name that comes twice the last."""
    body = wrong_type(request, FORM_TYPES) or await read_body(
        request, place, most=caller_of(request).most(most)
    )
    if isinstance(body, HttpFault):
        return body
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=_MOST_FIELDS))
    except ValueError:
        return HttpFault(400, "invalid_request", f"a form has at most {_MOST_FIELDS} fields")


async def ask(
    operating: Operating, action: str, about: Consequence, form: Mapping[str, str], place: Place
) -> SeenAt | HttpFault:
    """Carry out what a form asks for, and return where its effect is seen."""
    if about.refused:
        return HttpFault(409, "conflict", about.refused)
    if about.explained and not form.get("reason", "").strip():
        return unfit("Say why: it is kept in the history.")
    try:
        if action in {"train", "refresh", "cancel"}:
            return await _trigger(operating, action, about, form, place)
        return await _command(operating, action, about, form, place)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return unfit(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


async def _command(
    operating: Operating, action: str, about: Consequence, form: Mapping[str, str], place: Place
) -> SeenAt | HttpFault:
    said: dict[str, object] = {
        name: form[name] for name in ("actor", "reason", "command_id") if form.get(name)
    }
    if about.forcible:
        said |= about.body | {"force": form.get("force") == "yes"}
        if form.get("expected_generation", "").isdecimal():  # as the page showed it
            said["expected_generation"] = int(form["expected_generation"][:16])
    now, new_id = operating.now(), operating.new_id()
    if action == "promote":
        command = command_of(PromoteWish.model_validate(said), "promote", operating.state, now, new_id)
        if not isinstance(command, HttpFault):
            target = int(about.route.rpartition("/")[2].partition(":")[0])
            command = command.model_copy(update={"target_generation": target})
    elif action in _MARKS:
        command = command_of(MarkWish.model_validate(said), _MARKS[action], operating.state, now, new_id)
    else:
        command = command_of(RollbackWish.model_validate(said), "rollback", operating.state, now, new_id)
    if isinstance(command, HttpFault):
        return command
    told: CommandTold | HttpFault = await operating.command(command, place, wait_s=_WAIT_S)
    if isinstance(told, HttpFault) and told.code != "refused":
        return told
    return SeenAt(f"/console/releases?command={quote(command.command_id, safe='')}")


async def _trigger(
    operating: Operating, action: str, about: Consequence, form: Mapping[str, str], place: Place
) -> SeenAt | HttpFault:
    said: dict[str, object] = {"actor": form.get("actor", ""), "trigger_id": form.get("command_id") or None}
    now, new_id = operating.now(), operating.new_id()
    if action == "cancel":
        run_id = about.route.removeprefix("/v1/runs/").removesuffix(":cancel")
        trigger = cancel_of(CancelWish.model_validate(said), run_id, operating.state, now, new_id)
    else:
        if action == "train":
            said |= {"dry_run": form.get("dry_run") == "yes", "base": form.get("base", "live")}
        trigger = trigger_of(TriggerWish.model_validate(said | about.body), now, new_id)
    if isinstance(trigger, HttpFault):
        return trigger
    told: TriggerTold | HttpFault = await operating.trigger(trigger, place)
    if isinstance(told, HttpFault):
        return told
    return SeenAt(f"/console/runs?trigger={quote(told.trigger_id, safe='')}")
