"""What operators ask and are told, as a part of the OpenAPI document. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from api.describing import operation, parameter, part_of_path
from schemas.operator_http import (
    CancelWish,
    CommandsAnswer,
    CommandTold,
    DecisionsAnswer,
    EvaluationsAnswer,
    EvaluationTold,
    ForgetAsked,
    ForgetWish,
    JudgmentsAnswer,
    JudgmentSetAnswer,
    JudgmentsWish,
    JudgmentsWritten,
    LettersAnswer,
    LetterTold,
    MarkWish,
    PromoteWish,
    QueriesAnswer,
    ReleasesAnswer,
    ReplayAnswer,
    ReplayWish,
    RollbackWish,
    RuleRemoved,
    RulesAnswer,
    RuleTold,
    RuleWish,
    RuleWritten,
    RunsAnswer,
    RunTold,
    ServedAnswer,
    TriggersAnswer,
    TriggerTold,
    TriggerWish,
)
from schemas.producers import ProducersFound
from schemas.releases import Release
from schemas.training import Decision

OPERATORS_SAID: tuple[type[BaseModel], ...] = (
    LetterTold,
    LettersAnswer,
    ReplayAnswer,
    JudgmentsAnswer,
    JudgmentSetAnswer,
    JudgmentsWritten,
    QueriesAnswer,
    ProducersFound,
    CommandTold,
    CommandsAnswer,
    Decision,
    DecisionsAnswer,
    EvaluationTold,
    EvaluationsAnswer,
    Release,
    ReleasesAnswer,
    RuleTold,
    RuleRemoved,
    RuleWritten,
    RulesAnswer,
    ForgetAsked,
    RunTold,
    RunsAnswer,
    ServedAnswer,
    TriggerTold,
    TriggersAnswer,
)
RUN = "20261130-120000-1a2b3c4d"
OPERATORS_TAKEN: tuple[type[BaseModel], ...] = (
    ReplayWish,
    CancelWish,
    ForgetWish,
    JudgmentsWish,
    MarkWish,
    PromoteWish,
    RollbackWish,
    RuleWish,
    TriggerWish,
)
# Of each list: its answer, one thing of it, the name of that one's id and an example, and what else it takes.
_LISTS: tuple[tuple[str, str, type[BaseModel], type[BaseModel], str, object, tuple[str, ...]], ...] = (
    ("runs", "training runs", RunsAnswer, RunTold, "run_id", RUN, ()),
    ("releases", "generations, and what serves; with at, what served then",
     ReleasesAnswer, Release, "generation", 7, ("at",)),
    ("decisions", "verdicts and changes of generation, with their evidence",
     DecisionsAnswer, Decision, "decision_id", RUN, ()),
    ("evaluations", "what each candidate was measured at",
     EvaluationsAnswer, EvaluationTold, "decision_id", RUN, ()),
    ("triggers", "requests for a run, and what became of them",
     TriggersAnswer, TriggerTold, "trigger_id", "nightly-1130", ()),
    ("commands", "requests to change what serves, and what became of them",
     CommandsAnswer, CommandTold, "command_id", "back-1130", ()),
    ("judgments", "named sets of judgments", JudgmentsAnswer, JudgmentSetAnswer, "name", "house", ()),
    ("rules", "merchandising rules, the strongest first; with query, those that concern it",
     RulesAnswer, RuleTold, "rule_id", "winter-coats", ("query",)),
)  # fmt: skip
_READ = (200, 400, 401, 403, 500, 503)
WISHES: tuple[tuple[str, str, type[BaseModel], Mapping[str, object]], ...] = (
    ("/v1/releases/{generation}:promote", "Serve a generation that still has its index.",
     PromoteWish, {"actor": "ann", "reason": "the last one knows no boots", "expected_generation": 8}),
    ("/v1/releases:rollback", "Go back to a generation, to another model, or to the previous one.",
     RollbackWish, {"actor": "ann", "reason": "odd answers to jackets", "wait_s": 10}),
    ("/v1/releases:pin", "Keep what serves whatever is promoted.",
     MarkWish, {"actor": "ann", "reason": "sale"}),
    ("/v1/releases:unpin", "Let what serves change again.", MarkWish, {"actor": "ann"}),
    ("/v1/releases:pause", "Refuse promotions.", MarkWish, {"actor": "ann", "reason": "stocktaking"}),
    ("/v1/releases:resume", "Accept promotions again.", MarkWish, {"actor": "ann"}),
    ("/v1/releases:abort", "End the build that runs.", MarkWish, {"actor": "ann"}),
    ("/v1/triggers", "Ask for a run, or with refresh for a refresh of what serves.",
     TriggerWish, {"actor": "ann", "trigger_id": "nightly-1130", "params": {"max_steps": 500}}),
    ("/v1/runs/{run_id}:cancel", "End a run that waits or is in progress.", CancelWish, {"actor": "ann"}),
    ("/v1/rules", "Write a merchandising rule.",
     RuleWish, {"actor": "ann", "action": "pin", "query": "winter coat", "product_ids": ["p1", "p2"]}),
    ("/v1/judgments", "Put ratings into a named set; null takes one out.",
     JudgmentsWish, {"actor": "ann", "name": "house", "judgments": [
         {"query": "winter coat", "product_id": "p1", "relevance": 3}]}),
    ("/v1/forget", "Forget a shopper.", ForgetWish, {"client_id": "c1"}),
)  # fmt: skip
REPLAY = {"topic": "interactions", "reason": "unknown_product"}
RULE = {
    "actor": "ann",
    "action": "hide",
    "filters": [{"field": "brand", "value": "Acme"}],
    "reason": "recall",
}
_SAID_OF: dict[type[BaseModel], type[BaseModel]] = {
    TriggerWish: TriggerTold,
    CancelWish: TriggerTold,
    RuleWish: RuleWritten,
    ForgetWish: ForgetAsked,
    JudgmentsWish: JudgmentsWritten,
}
_FIRST: dict[type[BaseModel], tuple[int, ...]] = {
    RuleWritten: (200,),
    JudgmentsWritten: (200,),
    CommandTold: (200, 202),
}
_CHANGE = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)


def operator_paths() -> dict[str, Any]:
    """Return the paths, those by which one reads first."""
    paths: dict[str, Any] = {}
    for name, what, answer, one, identifier, example, others in _LISTS:
        missing = (404,) if "at" in others else ()  # of a moment there may be nothing to tell
        listed = operation(f"List {what}.", None, None, answer.__name__, (*_READ, *missing))
        listed["parameters"] = [parameter(each) for each in ("limit", "after", *others)]
        alone = operation(f"One of {name}.", None, None, one.__name__, (*_READ, 404))
        alone["parameters"] = [part_of_path(identifier, example)]
        paths[f"/v1/{name}"] = {"get": listed}
        paths[f"/v1/{name}/{{{identifier}}}"] = {"get": alone}
    paths["/v1/judgments/{name}"]["get"]["parameters"] += [parameter(each) for each in ("limit", "after")]
    _add_changes(paths)
    _add_letters(paths)
    _add_queries(paths)
    releases = paths["/v1/releases"]["get"]["responses"]["200"]["content"]["application/json"]
    releases["schema"] = {"anyOf": [releases["schema"], {"$ref": "#/components/schemas/ServedAnswer"}]}
    return paths


def _add_changes(paths: dict[str, Any]) -> None:
    for path, summary, kind, example in WISHES:
        said = _SAID_OF.get(kind, CommandTold)
        first = _FIRST.get(said, (202,))
        change = operation(summary, kind.__name__, example, said.__name__, (*first, *_CHANGE))
        if "{" in path:
            generation = "{generation}" in path
            change["parameters"] = [part_of_path(*(("generation", 7) if generation else ("run_id", RUN)))]
        paths.setdefault(path, {})["post"] = change
    own = [part_of_path("rule_id", "winter-coats")]
    put = operation(
        "Write the rule of this id.", RuleWish.__name__, RULE, RuleWritten.__name__, (200, *_CHANGE)
    )
    remove = operation("Take a rule out.", None, None, RuleRemoved.__name__, (200, *_CHANGE))
    paths["/v1/rules/{rule_id}"] |= {
        "put": put | {"parameters": own},
        "delete": remove
        | {"parameters": [*own, {**parameter("actor"), "required": True}, parameter("reason")]},
    }


def _add_letters(paths: dict[str, Any]) -> None:
    listed = operation("List dead letters of what shops send.", None, None, LettersAnswer.__name__, _READ)
    listed["parameters"] = [parameter(name) for name in ("limit", "after", "topic", "reason")]
    alone = operation("One dead letter, whole.", None, None, LetterTold.__name__, (*_READ, 404))
    alone["parameters"] = [part_of_path("topic", "interactions"), part_of_path("offset", 12)]
    replay = operation(
        "Send dead letters again.", ReplayWish.__name__, REPLAY, ReplayAnswer.__name__, (200, *_CHANGE)
    )
    paths["/v1/dead-letters"] = {"get": listed}
    paths["/v1/dead-letters/{topic}/{offset}"] = {"get": alone}
    paths["/v1/dead-letters:replay"] = {"post": replay}


def _add_queries(paths: dict[str, Any]) -> None:
    listed = operation(
        "What shoppers searched for lately; kind: frequent, unanswered, unclicked or falling.",
        None,
        None,
        QueriesAnswer.__name__,
        _READ,
    )
    listed["parameters"] = [parameter(name) for name in ("limit", "after", "kind")]
    paths["/v1/queries"] = {"get": listed}
    producers = operation(
        "How good each producer's events were lately, by day.", None, None, ProducersFound.__name__, _READ
    )
    paths["/v1/producers"] = {"get": producers}
