"""What operators read over HTTP: a real API and a real broker."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from api.state_answers import AS_OF
from schemas.operator_http import RunsAnswer
from schemas.releases import LivePointer, ReleaseState, release_key
from schemas.training import Decision, RunState, Score, TrainingRun, Trigger
from tests.api.api_process import ApiProcess
from tests.processes import run_verb
from tests.releases import NOW, a_release

pytestmark = pytest.mark.broker


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=1)) as opened:
        yield opened


def a_run(day: int, **fields: object) -> TrainingRun:
    return TrainingRun(run_id=f"202601{day:02}-120000-1a2b3c4d", state=RunState.DEPLOYED, at=NOW, **fields)


async def test_what_the_verbs_list_is_told_over_http_page_by_page_and_how_fresh_it_is(api: ApiProcess):
    """One process answers all of them: a start takes seconds."""
    score = {"candidate": {"all": Score(mean=0.5, ci_low=0.4, ci_high=0.6, n=9)}}
    runs = [a_run(day, trigger_ids=[f"t{day}"]) for day in (1, 2, 3)]
    promoted = Decision(
        decision_id=runs[2].run_id, run_id=runs[2].run_id, verdict="pass", at=NOW, ndcg10=score,
        part_gains={"dense": {"all": score["candidate"]["all"]}},
    )  # fmt: skip
    served = Decision(decision_id="main/2", verdict="pass", generation_before=1, generation_after=2, at=NOW)
    pointer = LivePointer(sequence=2, live=a_release(2), previous=a_release(1), cause="promote", at=NOW)
    await api.send("training-runs", *((run.run_id.encode(), run.to_json()) for run in runs))
    await api.send("decisions", (b"r", promoted.to_json()), (b"r", served.to_json()))
    await api.send("training-triggers", (b"main", Trigger(trigger_id="t3", requested_at=NOW).to_json()))
    await api.send(
        "rules", (b"r/1", b'{"rule_id":"r/1","action":"hide","product_ids":["p2"],"at":1767268800}')
    )
    await api.send(
        "releases",
        (release_key(1), a_release(1, ReleaseState.RETIRED).to_json()),
        (release_key(2), a_release(2).to_json()),
        (b"main", pointer.to_json()),
    )
    began = datetime.now(UTC)
    api.start()
    await api.shows(lambda page: page.get("generation") == 2 and page.get("as_of"))

    said = await api.call("GET", "/v1/runs?limit=2")
    assert said.code == 200
    as_of = datetime.fromisoformat(said.headers[AS_OF])
    assert began - timedelta(seconds=1) < as_of <= datetime.now(UTC) + timedelta(seconds=1)
    found = RunsAnswer.from_json(said.body)
    assert [run.run_id for run in found.runs] == [runs[2].run_id, runs[1].run_id]
    rest = await api.call("GET", f"/v1/runs?limit=2&after={found.next}")
    assert ([run["run_id"] for run in rest.json["runs"]], rest.json["next"]) == ([runs[0].run_id], None)

    alone = await api.call("GET", f"/v1/runs/{runs[2].run_id}")
    (verb,) = run_verb(api.settings, "runs", runs[2].run_id)
    assert alone.json == {name: verb[name] for name in alone.json}
    assert alone.json["part_gains"]["dense"]["all"]["n"] == 9

    listed = await api.call("GET", "/v1/releases")
    verb = run_verb(api.settings, "releases")
    assert (listed.json["live"], listed.json["releases"][::-1]) == (verb["live"], verb["releases"])
    assert (await api.call("GET", "/v1/releases/1")).json == verb["releases"][0]
    then = await api.call("GET", "/v1/releases?at=2026-01-01T13:00Z")
    assert (then.json["generation"], then.json["decision_id"]) == (2, "main/2")
    assert then.json == run_verb(api.settings, "releases", "--at", "2026-01-01T13:00Z")

    decisions = (await api.call("GET", "/v1/decisions")).json["decisions"]
    assert [one["decision_id"] for one in decisions] == ["main/2", runs[2].run_id]
    (explained,) = run_verb(api.settings, "explain", "main/2")
    assert (await api.call("GET", "/v1/decisions/main%2F2")).json == {
        name: value for name, value in explained.items() if name not in {"in_words", "rederived"}
    }
    (measured,) = (await api.call("GET", "/v1/evaluations")).json["evaluations"]
    assert measured["ndcg10"]["candidate"]["all"]["mean"] == 0.5
    assert (await api.call("GET", f"/v1/evaluations/{measured['decision_id']}")).json == measured

    (asked,) = (await api.call("GET", "/v1/triggers")).json["triggers"]
    assert (asked["trigger_id"], asked["state"], asked["run_id"]) == ("t3", "taken", runs[2].run_id)
    rules = (await api.call("GET", "/v1/rules?query=tea")).json
    assert {"rules": rules["rules"], "no_rules": rules["no_rules"]} == run_verb(api.settings, "rules", "list")
    assert (await api.call("GET", "/v1/rules/r%2F1")).json == rules["rules"][0]

    for path, code in (
        ("/v1/runs/20260105-120000-1a2b3c4d", 404),
        ("/v1/releases/9", 404),
        ("/v1/releases?at=2025-01-01T13:00Z", 404),
        ("/v1/releases?at=soon", 400),
        ("/v1/decisions/none", 404),
        ("/v1/commands/none", 404),
        ("/v1/runs?limit=0", 400),
        ("/v1/runs?after=none", 400),
        ("/v1/runs?state=failed", 400),
    ):
        refused = await api.call("GET", path)
        assert (refused.code, bool(refused.json["error"]["message"])) == (code, True), path

    later = a_run(4)
    await api.send("training-runs", (later.run_id.encode(), later.to_json()))

    async def newest() -> bool:
        return (await api.call("GET", "/v1/runs?limit=1")).json["runs"][0]["run_id"] == later.run_id

    await api.until(newest, "what is written later is told")
