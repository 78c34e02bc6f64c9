"""What operators ask and are told, as a part of the OpenAPI document. Pure."""

from typing import Any

from pydantic import BaseModel

from api.describing import operation, parameter, part_of_path
from schemas.operator_http import (
    CommandsAnswer,
    CommandTold,
    DecisionsAnswer,
    EvaluationsAnswer,
    EvaluationTold,
    ReleasesAnswer,
    RulesAnswer,
    RuleTold,
    RunsAnswer,
    RunTold,
    ServedAnswer,
    TriggersAnswer,
    TriggerTold,
)
from schemas.releases import Release
from schemas.training import Decision

OPERATORS_SAID: tuple[type[BaseModel], ...] = (
    CommandTold,
    CommandsAnswer,
    Decision,
    DecisionsAnswer,
    EvaluationTold,
    EvaluationsAnswer,
    Release,
    ReleasesAnswer,
    RuleTold,
    RulesAnswer,
    RunTold,
    RunsAnswer,
    ServedAnswer,
    TriggerTold,
    TriggersAnswer,
)
RUN = "20261130-120000-1a2b3c4d"
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
    ("rules", "merchandising rules, the strongest first; with query, those that concern it",
     RulesAnswer, RuleTold, "rule_id", "winter-coats", ("query",)),
)  # fmt: skip
_READ = (200, 400, 401, 403, 500, 503)


def operator_paths() -> dict[str, Any]:
    """Return the paths by which one reads."""
    paths: dict[str, Any] = {}
    for name, what, answer, one, identifier, example, others in _LISTS:
        listed = operation(f"List {what}.", None, None, answer.__name__, _READ)
        listed["parameters"] = [parameter(each) for each in ("limit", "after", *others)]
        alone = operation(f"One of {name}.", None, None, one.__name__, (*_READ, 404))
        alone["parameters"] = [part_of_path(identifier, example)]
        paths[f"/v1/{name}"] = {"get": listed}
        paths[f"/v1/{name}/{{{identifier}}}"] = {"get": alone}
    releases = paths["/v1/releases"]["get"]["responses"]["200"]["content"]["application/json"]
    releases["schema"] = {"anyOf": [releases["schema"], {"$ref": "#/components/schemas/ServedAnswer"}]}
    return paths
