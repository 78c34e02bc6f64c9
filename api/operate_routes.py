"""The routes by which operators change something: commands, triggers, rules, and forgetting a shopper."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from api.bodies import BUSY, HttpFault, Place
from api.operating import Operating
from api.refusals import refusal
from api.state_answers import STARTING, StateAnswers, dumped
from api.telling import rule_told
from api.wish_reading import Done, carried_out
from api.wishes import (
    cancel_of,
    command_of,
    erasure_of,
    removal_fault,
    rule_of_wish,
    trigger_of,
    unfit,
)
from schemas.bounds import NAME_CHARS, REASON_CHARS
from schemas.operator_http import (
    CancelWish,
    CommandTold,
    ForgetAsked,
    ForgetWish,
    MarkWish,
    PromoteWish,
    RollbackWish,
    RuleRemoved,
    RuleWish,
    RuleWritten,
    TriggerTold,
    TriggerWish,
)
from schemas.releases import DeploymentAction

W = TypeVar("W", bound=BaseModel)
MARKS: tuple[DeploymentAction, ...] = ("pin", "unpin", "pause", "resume", "abort")


def operate_routes(operating: Operating, answers: StateAnswers) -> APIRouter:
    """Return the routes by which one changes something."""
    router = APIRouter()
    desk = _Desk(operating, answers)
    _releases(router, desk)
    _training(router, desk)
    _rules(router, desk)

    @router.post("/v1/forget")
    async def forget(request: Request) -> Response:
        return await desk.carry_out(request, ForgetWish, desk.forget)

    return router


def _releases(router: APIRouter, desk: "_Desk") -> None:
    @router.post("/v1/releases/{generation:number}:promote")
    async def promote(request: Request, generation: int) -> Response:
        async def do(wish: PromoteWish, place: Place) -> Done:
            return await desk.command(wish, "promote", place, generation)

        return await desk.carry_out(request, PromoteWish, do)

    @router.post("/v1/releases:rollback")
    async def rollback(request: Request) -> Response:
        async def do(wish: RollbackWish, place: Place) -> Done:
            return await desk.command(wish, "rollback", place)

        return await desk.carry_out(request, RollbackWish, do)

    for action in MARKS:
        router.add_api_route(f"/v1/releases:{action}", _mark(desk, action), methods=["POST"])


def _mark(desk: "_Desk", action: DeploymentAction) -> Callable[[Request], Awaitable[Response]]:
    async def mark(request: Request) -> Response:
        async def do(wish: MarkWish, place: Place) -> Done:
            return await desk.command(wish, action, place)

        return await desk.carry_out(request, MarkWish, do)

    mark.__name__ = action  # the route's name in metrics
    return mark


def _training(router: APIRouter, desk: "_Desk") -> None:
    @router.post("/v1/triggers")
    async def ask_for_run(request: Request) -> Response:
        return await desk.carry_out(request, TriggerWish, desk.train)

    @router.post("/v1/runs/{run_id:before_colon}:cancel")
    async def cancel_run(request: Request, run_id: str) -> Response:
        async def do(wish: CancelWish, place: Place) -> Done:
            return await desk.cancel(wish, run_id, place)

        return await desk.carry_out(request, CancelWish, do)


def _rules(router: APIRouter, desk: "_Desk") -> None:
    @router.post("/v1/rules")
    async def write_rule(request: Request) -> Response:
        return await desk.carry_out(request, RuleWish, desk.write_rule)

    @router.put("/v1/rules/{rule_id:path}")
    async def put_rule(request: Request, rule_id: str) -> Response:
        async def do(wish: RuleWish, place: Place) -> Done:
            if wish.rule_id not in {None, rule_id}:
                return unfit("rule_id: it is not that of the path")
            return await desk.write_rule(wish.model_copy(update={"rule_id": rule_id}), place)

        return await desk.carry_out(request, RuleWish, do)

    @router.delete("/v1/rules/{rule_id:path}")
    async def remove_rule(request: Request, rule_id: str) -> Response:
        return await desk.remove_rule(request, rule_id)


class _Desk:
    """From a request to its answer: a place, the body, what it asks for, what became of it."""

    def __init__(self, operating: Operating, answers: StateAnswers) -> None:
        self._operating = operating
        self._answers = answers
        self._state = operating.state

    async def carry_out(
        self, request: Request, kind: type[W], do: Callable[[W, Place], Awaitable[Done]]
    ) -> Response:
        """Read what is asked for, and do it; nothing before the state of things is known."""
        if self._operating.follower.as_of is None:
            return refusal(STARTING)
        return await carried_out(request, self._operating.capacity, kind, do)

    async def command(
        self, wish: MarkWish, action: DeploymentAction, place: Place, generation: int | None = None
    ) -> Done:
        """Ask the indexer to change what serves."""
        operating = self._operating
        command = command_of(wish, action, self._state, operating.now(), operating.new_id())
        if isinstance(command, HttpFault):
            return command
        if generation is not None:
            if all(release.generation != generation for release in self._state.releases.releases):
                return HttpFault(404, "not_found", f"there is no generation {generation}")
            command = command.model_copy(update={"target_generation": generation})
        told = await operating.command(command, place, wait_s=wish.wait_s)
        return told if isinstance(told, HttpFault) else self._told_command(told)

    async def train(self, wish: TriggerWish, place: Place) -> Done:
        """Ask the trainer for a run."""
        trigger = trigger_of(wish, self._operating.now(), self._operating.new_id())
        if isinstance(trigger, HttpFault):
            return trigger
        return self._told_trigger(await self._operating.trigger(trigger, place))

    async def cancel(self, wish: CancelWish, run_id: str, place: Place) -> Done:
        """Ask the trainer for the end of a run."""
        operating = self._operating
        trigger = cancel_of(wish, run_id, self._state, operating.now(), operating.new_id())
        if isinstance(trigger, HttpFault):
            return trigger
        return self._told_trigger(await operating.trigger(trigger, place), f"/v1/runs/{run_id}")

    async def write_rule(self, wish: RuleWish, place: Place) -> Done:
        """Write a rule."""
        operating = self._operating
        rule = rule_of_wish(wish, self._state, operating.now(), operating.new_id())
        if isinstance(rule, HttpFault):
            return rule
        replaced = rule.rule_id in self._state.rules
        if (fault := await operating.rule(rule, place)) is not None:
            return fault
        told = RuleWritten(**rule_told(rule, operating.now()).model_dump(), replaced=replaced)
        return self._answers.told(dumped(told))

    async def remove_rule(self, request: Request, rule_id: str) -> Response:
        """Take a rule out: who and why stands in the address, since DELETE has no body."""
        said = dict(request.query_params)
        actor, reason = said.pop("actor", ""), said.pop("reason", "")
        if self._operating.follower.as_of is None:
            return refusal(STARTING)
        if said or not actor.strip() or len(actor) > NAME_CHARS or len(reason) > REASON_CHARS:
            return refusal(unfit("actor: who asks is expected in the address, and perhaps reason: why"))
        if (fault := removal_fault(rule_id, self._state)) is not None:
            return refusal(fault)
        place = self._operating.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            fault = await self._operating.removal(rule_id, actor, reason, place)
        removed = RuleRemoved(removed=rule_id, actor=actor, reason=reason)
        return refusal(fault) if fault else self._answers.told(dumped(removed))

    async def forget(self, wish: ForgetWish, place: Place) -> Done:
        """Ask the stream to forget a shopper."""
        erasure = erasure_of(wish, self._operating.now(), self._operating.new_id())
        if isinstance(erasure, HttpFault):
            return erasure
        if (fault := await self._operating.erasure(erasure, place)) is not None:
            return fault
        return self._answers.told(dumped(ForgetAsked(event_id=erasure.event_id or "")), 202)

    def _told_command(self, told: CommandTold) -> Response:
        where = {"Location": f"/v1/commands/{quote(told.command_id, safe='')}"}
        return self._answers.told(dumped(told), 200 if told.state == "done" else 202, where)

    def _told_trigger(self, told: TriggerTold | HttpFault, where: str | None = None) -> Done:
        if isinstance(told, HttpFault):
            return told
        where = where or f"/v1/triggers/{quote(told.trigger_id, safe='')}"
        return self._answers.told(dumped(told), 202, {"Location": where})
