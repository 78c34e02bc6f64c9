"""The routes by which operators read: runs, releases, decisions, evaluations, triggers, commands, rules."""

import json
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from api.bodies import HttpFault
from api.refusals import refusal
from api.state_answers import StateAnswers, dumped
from api.telling import command_told, rule_told, rules_told, run_told, served_at, trigger_told
from operations.moments import MomentError, moment
from operations.rule_book import own_rules

# A decision has all its evidence: ten are as large as another page.
DECISIONS_PAGE = 10


class _BeforeColon(Convertor[str]):
    """A part of a path that an action may follow: ``/v1/runs/{id}:cancel``."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Number(Convertor[int]):
    """A number in a path. ``int()`` refuses more than 4,300 digits; ours fit 64 bits."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("before_colon", _BeforeColon())
register_url_convertor("number", _Number())


def state_routes(answers: StateAnswers) -> APIRouter:
    """Return the routes by which one reads."""
    router = APIRouter()
    for part in (_runs, _releases, _evidence, _asked, _rules):
        part(router, answers)
    return router


def _runs(router: APIRouter, answers: StateAnswers) -> None:
    state = answers.state

    @router.get("/v1/runs")
    async def runs(request: Request) -> Response:
        return answers.listed(
            answers.asked(request),
            "runs",
            lambda: sorted(state.runs, key=lambda run: run.run_id, reverse=True),
            id_of=lambda run: run.run_id,
            dump=dumped,
        )

    @router.get("/v1/runs/{run_id:before_colon}")
    async def run(run_id: str) -> Response:
        found = state.runs.get(run_id)
        return answers.one(found, f"there is no run {run_id!r}", lambda one: dumped(run_told(state, one)))


def _releases(router: APIRouter, answers: StateAnswers) -> None:
    state = answers.state

    @router.get("/v1/releases")
    async def releases(request: Request) -> Response:
        asked = answers.asked(request, {"at"})
        if not isinstance(asked, HttpFault) and "at" in asked.others:
            return _served(asked.others["at"])
        return answers.listed(
            asked,
            "releases",
            lambda: state.releases.releases[::-1],
            id_of=lambda release: str(release.generation),
            dump=dumped,
            others={"live": dumped(state.releases.pointer) if state.releases.pointer else b"null"},
        )

    @router.get("/v1/releases/{generation:number}")
    async def release(generation: int) -> Response:
        found = next((r for r in state.releases.releases if r.generation == generation), None)
        return answers.one(found, f"there is no generation {generation}", dumped)

    def _served(at: str) -> Response:
        try:
            served = served_at(state, moment(at))
        except MomentError as error:
            return refusal(HttpFault(400, "invalid_request", f"at: {error}"))
        return answers.one(served, "nothing served yet at that moment", dumped)


def _evidence(router: APIRouter, answers: StateAnswers) -> None:
    state = answers.state

    @router.get("/v1/decisions")
    async def decisions(request: Request) -> Response:
        return answers.listed(
            answers.asked(request, limit=DECISIONS_PAGE),
            "decisions",
            state.decisions.items,
            id_of=lambda both: both[0],
            dump=lambda both: both[1],
        )

    @router.get("/v1/decisions/{decision_id:path}")
    async def decision(decision_id: str) -> Response:
        missing = f"no decision {decision_id!r} is kept here"
        return answers.one(state.decisions.get(decision_id), missing, lambda raw: raw)

    @router.get("/v1/evaluations")
    async def evaluations(request: Request) -> Response:
        return answers.listed(
            answers.asked(request),
            "evaluations",
            lambda: list(state.evaluations),
            id_of=lambda one: one.decision_id,
            dump=dumped,
        )

    @router.get("/v1/evaluations/{decision_id:path}")
    async def evaluation(decision_id: str) -> Response:
        missing = f"no evaluation {decision_id!r} is kept here"
        return answers.one(state.evaluations.get(decision_id), missing, dumped)


def _asked(router: APIRouter, answers: StateAnswers) -> None:
    state = answers.state

    @router.get("/v1/triggers")
    async def triggers(request: Request) -> Response:
        return answers.listed(
            answers.asked(request),
            "triggers",
            lambda: list(state.triggers),
            id_of=lambda one: one.trigger_id,
            dump=lambda one: dumped(trigger_told(state, one)),
        )

    @router.get("/v1/triggers/{trigger_id:path}")
    async def trigger(trigger_id: str) -> Response:
        missing = f"no trigger {trigger_id!r} is on the topic"
        found = state.triggers.get(trigger_id)
        return answers.one(found, missing, lambda one: dumped(trigger_told(state, one)))

    @router.get("/v1/commands")
    async def commands(request: Request) -> Response:
        return answers.listed(
            answers.asked(request),
            "commands",
            lambda: list(state.commands),
            id_of=lambda one: one.command_id,
            dump=lambda one: dumped(command_told(state, one, datetime.now(UTC))),
        )

    @router.get("/v1/commands/{command_id:path}")
    async def command(command_id: str) -> Response:
        missing = f"no command {command_id!r} is on the topic"
        found = state.commands.get(command_id)
        return answers.one(found, missing, lambda one: dumped(command_told(state, one, datetime.now(UTC))))


def _rules(router: APIRouter, answers: StateAnswers) -> None:
    state = answers.state

    @router.get("/v1/rules")
    async def rules(request: Request) -> Response:
        asked = answers.asked(request, {"query"})
        query = None if isinstance(asked, HttpFault) else asked.others.get("query")
        told, broken = rules_told(state, query, datetime.now(UTC))
        return answers.listed(
            asked,
            "rules",
            lambda: told,
            id_of=lambda one: one.rule_id,
            dump=dumped,
            others={"no_rules": json.dumps(broken).encode()},
        )

    @router.get("/v1/rules/{rule_id:path}")
    async def rule(rule_id: str) -> Response:
        own = {rule.rule_id: rule for rule in own_rules(state.rules, state.deployment)}
        return answers.one(
            own.get(rule_id),
            f"there is no rule {rule_id!r}",
            lambda one: dumped(rule_told(one, datetime.now(UTC))),
        )
