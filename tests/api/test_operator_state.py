"""What is known after the records of the operators' topics, whoever has written them."""

from datetime import UTC, datetime, timedelta

from api.operator_state import OperatorState
from api.telling import command_told, rules_told, served_at, trigger_told
from broker.dead_letters import dead_letter
from broker.records import Record
from schemas.decoding import refuse
from schemas.rejections import Reason
from schemas.releases import DeploymentCommand, LivePointer, rejection_id
from schemas.settings import ApiSettings
from schemas.training import Decision, RunState, TrainingRun, Trigger
from tests.releases import NOW, a_release

SETTINGS = ApiSettings(topic_prefix="p.")


def record(topic: str, value: bytes | None, key: bytes | None = None, **fields: object) -> Record:
    return Record(**{"topic": f"p.{topic}", "partition": 0, "offset": 0, "timestamp_ms": 1, "key": key,
                     "value": value, **fields})  # fmt: skip


def after(*records: Record) -> OperatorState:
    state = OperatorState(SETTINGS)
    for each in records:
        state.take(each)
    return state


def a_trigger(trigger_id: str, **fields: object) -> Trigger:
    return Trigger(trigger_id=trigger_id, requested_at=NOW, **fields)


def test_garbage_on_any_topic_says_nothing_and_hides_nothing():
    state = OperatorState(SETTINGS)
    for topic in state.topics:
        for value in (None, b"", b"{", b"[]", b"\xff", b'{"a": 1}'):
            for key in (None, b"\xff", b"main", b"generation:000001"):
                state.take(record(topic.removeprefix("p."), value, key))
    told = [state.runs, state.triggers, state.commands, state.decisions, state.evaluations]
    assert [list(kept) for kept in told] == [[]] * 5
    state.take(record("training-runs", TrainingRun(run_id="r", state=RunState.QUEUED).to_json(), b"r"))
    assert [run.run_id for run in state.runs] == ["r"]


def test_a_trigger_is_taken_by_its_run_or_by_one_with_its_dedup_key_or_was_refused():
    first, again, bad, waits = (
        a_trigger("t1", dedup_key="nightly"), a_trigger("t2", dedup_key="nightly"), a_trigger("t3"),
        a_trigger("t4"),
    )  # fmt: skip
    run = TrainingRun(run_id="r1", trigger_ids=["t1"], dedup_keys=["nightly"], state=RunState.QUEUED)
    letter = dead_letter(
        record("training-triggers", bad.to_json()),
        refuse(Reason.SCHEMA, "params", "may not"),
        stage="trainer",
    )
    state = after(
        record("training-runs", run.to_json()),
        record("training-triggers.dlq", letter.value, headers=letter.headers),
        *(record("training-triggers", one.to_json()) for one in (first, again, bad, waits)),
    )
    told = [trigger_told(state, one) for one in state.triggers]
    assert [(one.trigger_id, one.state, one.run_id) for one in told] == [
        ("t4", "requested", None),
        ("t3", "refused", None),
        ("t2", "taken", "r1"),
        ("t1", "taken", "r1"),
    ]
    assert told[1].refused == "schema: params: may not"


def test_a_command_is_done_refused_waits_or_nobody_knows():
    def a_command(command_id: str, **fields: object) -> DeploymentCommand:
        return DeploymentCommand(command_id=command_id, action="pin", at=NOW, **fields)

    refused = Decision(
        decision_id=rejection_id("main", "c2"), verdict="fail", reasons=["pin rejected", "it is pinned"]
    )
    pointer = LivePointer(sequence=3, live=a_release(1), cause="pin", command_id="c1", carried_out=["c0"])
    ends = NOW + timedelta(seconds=60)
    commands = [a_command(f"c{n}", expires_at=ends) for n in range(4)]
    foreign = DeploymentCommand(command_id="x", action="pin", deployment="other")
    state = after(
        *(record("deployment-commands", one.to_json()) for one in (*commands, foreign)),
        record("releases", pointer.to_json(), b"main"),
        record("decisions", refused.to_json()),
    )

    def told(now: datetime) -> dict[str, str]:
        return {one.command_id: command_told(state, one, now).state for one in state.commands}

    assert told(NOW) == {"c3": "pending", "c2": "refused", "c1": "done", "c0": "done"}
    assert told(ends + timedelta(seconds=1))["c3"] == "unknown"
    assert command_told(state, commands[2], NOW).reasons == ["pin rejected", "it is pinned"]


def test_what_served_is_known_from_decisions_without_their_evidence():
    changes = [
        Decision(decision_id=f"d{n}", verdict="pass", generation_before=n - 1, generation_after=n, at=at,
                 reasons=["promoted"], limits={"x": 1.0})
        for n, at in ((1, NOW), (2, NOW + timedelta(hours=1)))
    ]  # fmt: skip
    state = after(*(record("decisions", one.to_json()) for one in (*changes, changes[0])))
    early, late = served_at(state, NOW), served_at(state, datetime(2027, 1, 1, tzinfo=UTC))
    assert early is not None
    assert late is not None
    assert (early.generation, early.until, late.generation, late.until) == (
        1,
        changes[1].at.isoformat(),
        2,
        None,
    )
    assert served_at(state, NOW - timedelta(seconds=1)) is None
    assert Decision.from_json(state.decisions.get("d1") or b"").limits == {"x": 1.0}


def test_rules_are_those_that_searchers_apply_and_a_null_removes_one():
    pin = b'{"rule_id":"a","action":"pin","query":"Mug","product_ids":["p1"]}'
    hide = b'{"rule_id":"b","action":"hide","product_ids":["p2"]}'
    other = b'{"rule_id":"c","action":"hide","product_ids":["p2"],"deployment":"other"}'
    state = after(
        record("rules", pin, b"a"), record("rules", hide, b"b"), record("rules", other, b"c"),
        record("rules", b"{", b"broken"), record("rules", pin, b"gone"), record("rules", None, b"gone"),
    )  # fmt: skip
    rules, broken = rules_told(state, None, NOW)
    assert [(one.rule_id, one.state) for one in rules] == [("b", "holds"), ("a", "holds")]
    assert set(broken) == {"broken"}
    assert [one.rule_id for one in rules_told(state, "tea", NOW)[0]] == ["b"]
    assert [one.rule_id for one in rules_told(state, " MUG", NOW)[0]] == ["b", "a"]
