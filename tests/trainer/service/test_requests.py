"""Which triggers become runs."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.guarding import judged
from broker.records import Record
from schemas.bounds import REQUEST_BYTES, TRIGGERS_OF_A_RUN, WAITING_RUNS
from schemas.rejections import Reason, Rejection
from schemas.settings import TrainerSettings
from schemas.training import RunState, TrainingRun, Trigger
from trainer.learning.plan import Lineage, choose_start, plan
from trainer.run.folder import RunFolder
from trainer.run.request import Request
from trainer.run.triggers import read_trigger, run_id_of
from trainer.service.acceptance import Begun, Cancels, Joined, NothingToDo, Refreshes, accept
from trainer.service.history import History
from trainer.service.scheduler import last_slot, slot_trigger

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_trigger(**changes) -> Trigger:
    return Trigger(**{"trigger_id": "t1", "requested_at": NOW, **changes})


def accepted(trigger: Trigger, history: History | None = None, waiting: list[Request] | None = None):
    return accept(
        trigger, settings=TrainerSettings(), history=history or History(), waiting=waiting or [], now=NOW
    )


class Desk:
    """Takes triggers in as the trainer does, and carries nothing out."""

    def __init__(self) -> None:
        self.history, self.waiting = History(), []

    def take(self, **changes):
        found = accepted(a_trigger(**changes), self.history, self.waiting)
        if isinstance(found, Begun):
            self.waiting.append(found.request)
        if isinstance(found, Begun | Joined):
            self.history.record(found.run.model_copy(update={"seq": self.history.next_seq(found.run.run_id)}))
        return found


def test_allowed_params_override_the_settings_of_their_run():
    found = accepted(a_trigger(params={"max_steps": 3, "test_days": 2, "label_shuffle_seed": 9})).request
    assert (found.settings.max_steps, found.settings.test_days, found.label_shuffle_seed) == (3, 2, 9)
    assert found.run_id.startswith("20260131-120000-")


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"base_model": "/etc"}},
        {"params": {"max_steps": 0}},
        {"params": {"label_shuffle_seed": "7"}},
        {"params": {"label_shuffle_seed": True}},
        {"params": {"label_shuffle_seed": -1}},
        {"params": {"seed": -1}},
        {"params": {"seed": 2**32}},
        {"params": {"max_steps": 10**12}},
        {"params": {"passes": "inf"}},
        {"force": True},
        {"force": True, "force_reason": "  "},
    ],
)
def test_what_a_trigger_may_not_ask_is_refused(changes):
    found = accepted(a_trigger(**changes))
    assert isinstance(found, Rejection)
    assert found.problems


@pytest.mark.parametrize(
    ("value", "reason"), [(b"{", Reason.JSON_DECODE), (b"{}", Reason.SCHEMA), (None, Reason.JSON_DECODE)]
)
def test_a_record_that_is_no_trigger_is_refused_with_its_reason(value, reason):
    found = read_trigger(Record("training-triggers", 0, 0, 0, None, value))
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_only_equal_wishes_share_a_run():
    first, same, dry = (
        accepted(a_trigger(**c)).request for c in ({}, {"trigger_id": "t2"}, {"dry_run": True})
    )
    assert first.same_work(same)
    assert not first.same_work(dry)


@pytest.mark.parametrize(
    "cancels",
    ["x" * 256, "../runtime.json", "20260131-120000-1A2B3C4D", "/etc/passwd", "20260131-120000-1a2b3c4d/.."],
)
def test_what_is_called_as_no_run_is_called_cannot_be_cancelled(cancels):
    found = read_trigger(Record("training-triggers", 0, 0, 0, None, a_trigger(cancels=cancels).to_json()))
    assert isinstance(found, Rejection)
    assert (found.reason, found.problems[0].loc) == (Reason.SCHEMA, "cancels")


def test_only_a_run_that_is_known_is_cancelled():
    history = History([TrainingRun(run_id="20260131-120000-1a2b3c4d", state=RunState.TRAINING)])
    assert isinstance(accepted(a_trigger(cancels="20260131-120000-1a2b3c4d"), history), Cancels)
    assert isinstance(accepted(a_trigger(cancels="20260131-120000-00000000"), history), NothingToDo)


def test_a_trigger_is_at_most_so_long():
    longest = a_trigger().to_json().ljust(REQUEST_BYTES)
    assert isinstance(read_trigger(Record("training-triggers", 0, 0, 0, None, longest)), Trigger)
    found = read_trigger(Record("training-triggers", 0, 0, 0, None, longest + b" "))
    assert isinstance(found, Rejection)
    assert found.reason == Reason.TOO_LARGE


@given(
    st.one_of(
        st.none(),
        st.binary(max_size=300),
        st.text().map(str.encode),
        st.integers(1, 5000).map(lambda n: b"[" * n),
    )
)
def test_no_record_is_more_than_refused(value):
    assert isinstance(judged(read_trigger, Record("training-triggers", 0, 0, 0, None, value)), Rejection)


@pytest.mark.parametrize(
    "value",
    [
        b'{"trigger_id":"\\ud800","requested_at":0}',
        b'{"trigger_id":"a","requested_at":0,"params":{"\\udfff":1}}',
    ],
)
def test_half_a_surrogate_is_no_text(value):
    assert read_trigger(Record("training-triggers", 0, 0, 0, None, value)).reason == Reason.JSON_DECODE


def test_equal_wishes_share_a_run_until_it_answers_too_many():
    desk = Desk()
    found = [desk.take(trigger_id=f"t{n}", dedup_key=f"k{n}") for n in range(TRIGGERS_OF_A_RUN + 2)]
    assert isinstance(found[0], Begun)
    assert {type(f) for f in found[1:TRIGGERS_OF_A_RUN]} == {Joined}
    assert [f.reason for f in found[TRIGGERS_OF_A_RUN:]] == [Reason.TOO_MANY] * 2
    run = desk.history.get(desk.waiting[0].run_id)
    assert len(run.trigger_ids) == len(run.dedup_keys) == TRIGGERS_OF_A_RUN
    assert isinstance(desk.take(trigger_id="t5"), NothingToDo)


def test_so_many_runs_wait_in_their_order_and_one_more_is_refused():
    desk = Desk()
    found = [desk.take(trigger_id=f"t{n}", params={"seed": n}) for n in range(WAITING_RUNS + 1)]
    assert {type(f) for f in found[:-1]} == {Begun}
    assert found[-1].reason == Reason.TOO_MANY
    assert [r.settings.seed for r in desk.waiting] == list(range(WAITING_RUNS))
    assert isinstance(desk.take(trigger_id="same", params={"seed": 3}), Joined)


def test_two_triggers_whose_hashes_are_one_have_two_runs():
    first = run_id_of(a_trigger(), NOW)
    history = History([TrainingRun(run_id=first, trigger_ids=["another"], state=RunState.DEPLOYED)])
    found = accepted(a_trigger(), history)
    assert isinstance(found, Begun)
    assert found.run.run_id != first


def test_a_request_of_another_version_is_read_without_what_this_one_does_not_know(tmp_path):
    run = RunFolder(tmp_path)
    run.commit("request", accepted(a_trigger(params={"seed": 7})).request)
    written = json.loads((tmp_path / "request.json").read_text())
    written["settings"]["a_setting_of_tomorrow"] = 1
    del written["settings"]["spread"]
    (tmp_path / "request.json").write_text(json.dumps(written))
    found = run.find("request", Request)
    assert (found.settings.seed, found.settings.spread) == (7, TrainerSettings().spread)


def test_a_request_keeps_no_connection_and_takes_that_of_its_process(tmp_path):
    run, there = RunFolder(tmp_path), {"SEARCHLOOP_KAFKA": "elsewhere:9092"}
    theirs = {"SEARCHLOOP_KAFKA_SECURITY": "SASL_SSL", "SEARCHLOOP_KAFKA_USER": "trainer"}
    theirs |= {"SEARCHLOOP_KAFKA_PASSWORD": "open sesame"}
    settings = TrainerSettings.load(theirs | there | {"SEARCHLOOP_SEED": "5"})
    run.commit("request", Request.of("r", a_trigger(), settings))
    assert not {"sesame", "elsewhere"} & set(re.findall(r"\w+", (tmp_path / "request.json").read_text()))
    found = run.find("request", Request)
    assert found.settings == TrainerSettings(seed=5)
    assert found.connected(theirs | there).settings == settings


def test_a_dedup_key_is_remembered_even_when_its_run_failed():
    history = History(
        [TrainingRun(run_id="r", trigger_ids=["t0"], dedup_keys=["k"], seq=4, state=RunState.FAILED)]
    )
    assert history.taken(a_trigger(dedup_key="k"))
    assert history.taken(a_trigger(trigger_id="t0"))
    assert not history.taken(a_trigger(dedup_key="other"))


def test_unfinished_runs_come_back_those_that_had_begun_first():
    states = {"a": RunState.QUEUED, "b": RunState.TRAINING, "c": RunState.DEPLOYED}
    history = History(TrainingRun(run_id=run_id, state=state) for run_id, state in states.items())
    assert [run.run_id for run in history.unfinished()] == ["b", "a"]


def test_three_rejected_candidates_in_a_row_call_for_a_full_retrain():
    states = [
        RunState.DEPLOYED,
        RunState.FAILED_GATE,
        RunState.SKIPPED,
        RunState.INCONCLUSIVE,
        RunState.FAILED_GATE,
    ]
    history = History(TrainingRun(run_id=str(n), state=state) for n, state in enumerate(states))
    assert history.needs_full_retrain(3)
    assert not history.needs_full_retrain(4)
    assert not history.record(TrainingRun(run_id="9", state=RunState.DEPLOYED)).needs_full_retrain(3)


def test_the_start_is_never_a_model_that_knows_the_test():
    seen = Lineage(cut_day=100, heldout_share=0.1, parent_sha256="x")
    ask = {"heldout_share": 0.1, "new_pairs": 5, "full_every": 0}
    assert choose_start("live", seen, cut_day=100, **ask)[0] == "live"
    assert choose_start("live", seen, cut_day=99, **ask)[0] == "base"
    assert [choose_start("live", seen, cut_day=day, **ask)[0] for day in (190, 191)] == ["live", "base"]
    assert choose_start("live", seen, cut_day=120, **{**ask, "heldout_share": 0.2})[0] == "base"
    assert choose_start("live", seen, cut_day=100, **{**ask, "new_pairs": 0})[0] == "base"
    assert choose_start("live", None, cut_day=100, **ask)[0] == "base"
    assert choose_start("pristine", seen, cut_day=100, **ask)[0] == "base"


def test_every_so_many_trainings_one_begins_from_the_base_model_again():
    starts, since_base = [], 0
    for _ in range(6):
        lineage = Lineage(cut_day=100, heldout_share=0.1, parent_sha256="x", since_base=since_base)
        starts.append(
            choose_start("live", lineage, cut_day=100, heldout_share=0.1, new_pairs=5, full_every=3)[0]
        )
        since_base = since_base + 1 if starts[-1] == "live" else 0
    assert starts == ["live", "live", "base", "live", "live", "base"]


def test_steps_follow_the_amount_of_data():
    settings = TrainerSettings()
    fresh = plan(settings, new_pairs=1413, old_pairs=0, from_live=False, device="cpu")
    again = plan(settings, new_pairs=1000, old_pairs=5000, from_live=True, device="cpu")
    assert (fresh.steps, fresh.batch_size, fresh.replay_share) == (30, 128, 0.0)
    assert (again.steps, again.replay_share) == (35, 0.5)
    assert (
        plan(settings, new_pairs=10**7, old_pairs=0, from_live=False, device="cpu").steps
        == settings.max_steps
    )


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.booleans(), st.integers(1, 5000))
def test_the_last_step_is_one_at_which_the_validation_is_looked_at(new, old, from_live, max_steps):
    found = plan(
        TrainerSettings(max_steps=max_steps), new_pairs=new, old_pairs=old, from_live=from_live, device="cpu"
    )
    assert 1 <= found.steps <= max_steps
    assert found.steps % found.checkpoint_steps == 0
    assert found.steps // found.checkpoint_steps <= 5


def test_the_shorter_a_training_from_the_base_model_the_more_it_keeps_the_products_apart():
    few, many = (
        plan(TrainerSettings(spread=0.5), new_pairs=n, old_pairs=0, from_live=False, device="cpu")
        for n in (600, 10**5)
    )
    assert (few.steps, few.spread) == (12, pytest.approx(1.0))
    assert 0.5 < many.spread < 0.51
    assert (
        plan(TrainerSettings(spread=0.5), new_pairs=600, old_pairs=600, from_live=True, device="cpu").spread
        == 0.5
    )


def test_the_last_slot_is_the_newest_one_within_the_grace():
    hour = timedelta(hours=1)
    assert last_slot("0 3 * * *", datetime(2026, 1, 31, 3, 40, tzinfo=UTC), hour) == datetime(
        2026, 1, 31, 3, tzinfo=UTC
    )
    assert last_slot("0 3 * * *", datetime(2026, 1, 31, 4, 1, tzinfo=UTC), hour) is None
    assert last_slot("*/10 * * * *", datetime(2026, 1, 31, 3, 29, tzinfo=UTC), hour) == datetime(
        2026, 1, 31, 3, 20, tzinfo=UTC
    )


def test_a_slot_has_one_dedup_key():
    assert slot_trigger(NOW).dedup_key == slot_trigger(NOW).trigger_id == "cron:2026-01-31T12:00Z"


def test_a_refresh_waits_for_no_run_and_one_that_waits_answers_all_who_ask():
    desk = Desk()
    assert isinstance(desk.take(trigger_id="run"), Begun)
    first = desk.take(trigger_id="a", refresh=True)
    assert isinstance(first, Refreshes)
    assert (first.run.kind, first.run.run_id) == ("refresh", first.request.run_id)
    joined = desk.take(trigger_id="b", refresh=True)
    assert isinstance(joined, Joined)
    assert joined.run.run_id == first.run.run_id
    assert isinstance(desk.take(trigger_id="b", refresh=True), NothingToDo)
    forced = desk.take(trigger_id="c", refresh=True, force=True, force_reason="after a rollback")
    assert isinstance(forced, Refreshes), "what is forced joins nobody"


def test_refreshes_are_no_judged_candidates():
    """A fortnight of refreshes that were refused made the next training begin from the pretrained model."""
    refused = [
        TrainingRun(run_id=f"2026013{n}-120000-00000000", kind="refresh", state=RunState.FAILED_GATE)
        for n in range(5)
    ]
    assert not History(refused).needs_full_retrain(3)
