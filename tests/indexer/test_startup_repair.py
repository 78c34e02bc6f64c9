from datetime import timedelta

from indexer.retention import REMEMBERED, retain
from indexer.startup_repair import MAX_ATTEMPTS, recover
from indexer.state import FAR, state_of
from schemas.bounds import EXACT_INTEGER
from schemas.releases import Promotion, ReleaseFailure, ReleaseState, SearcherReport, release_key
from tests.indexer.builders import a_candidate, a_command, a_log, a_state
from tests.releases import NOW, a_release

PROMOTE = a_command("promote", candidate=a_candidate())


def test_an_interrupted_build_goes_on_with_its_collection() -> None:
    for stopped in (ReleaseState.BUILDING, ReleaseState.VERIFIED):
        state = a_state(a_release(1), a_release(2, stopped, command=PROMOTE), live=1)
        plan = recover(state, ["p_g000001", "p_g000002"], NOW)
        assert [(r.generation, r.state, r.attempts) for r in plan.records] == [(2, ReleaseState.BUILDING, 2)]
        assert plan.resume == plan.records[0]
        assert plan.orphans == []
        assert plan.alias == "p_g000001"


def test_a_build_that_kills_the_process_is_not_tried_for_ever() -> None:
    state = a_state(
        a_release(1), a_release(2, ReleaseState.BUILDING, command=PROMOTE, attempts=MAX_ATTEMPTS), live=1
    )
    plan = recover(state, ["p_g000001", "p_g000002"], NOW)
    assert [(r.generation, r.state, r.failure) for r in plan.records] == [
        (2, ReleaseState.FAILED, ReleaseFailure.GIVEN_UP)
    ]
    assert (plan.resume, plan.orphans) == (None, ["p_g000002"])


def test_a_rollback_whose_record_a_crash_prevented_is_recorded() -> None:
    state = a_state(a_release(1), a_release(2), live=1, previous=2, actor="ann").with_pointer(
        a_state(a_release(1), a_release(2), live=1, previous=2, actor="ann", cause="rollback").pointer
    )
    (record,) = recover(state, ["p_g000001", "p_g000002"], NOW).records
    assert record.generation == 2
    assert record.rolled_back is not None
    assert record.rolled_back.actor == "ann"
    again = recover(state.with_release(record), ["p_g000001", "p_g000002"], NOW)
    assert again.records == []


def test_a_generation_that_was_published_but_not_recorded_is_recorded() -> None:
    published = a_release(2, ReleaseState.RELEASED, command=PROMOTE)
    state = a_state(a_release(1), published, live=2, previous=1).with_release(
        a_release(2, ReleaseState.VERIFIED, command=PROMOTE)
    )
    plan = recover(state, ["p_g000001", "p_g000002"], NOW)
    assert [(r.generation, r.state) for r in plan.records] == [(2, ReleaseState.RELEASED)]
    assert plan.orphans == []
    assert plan.resume is None


def test_collections_of_dropped_and_failed_generations_are_orphans() -> None:
    state = a_state(
        a_release(1, ReleaseState.DROPPED), a_release(2, ReleaseState.FAILED), a_release(3), live=3
    )
    assert recover(state, ["p_g000001", "p_g000002", "p_g000003", "p_g000077"], NOW).orphans == [
        "p_g000001",
        "p_g000002",
        "p_g000077",
    ]


def test_a_lost_collection_is_dropped_unless_it_is_live_or_previous() -> None:
    state = a_state(a_release(1, ReleaseState.RETIRED), a_release(2), a_release(3), live=3, previous=2)
    plan = recover(state, [], NOW)
    assert [(r.generation, r.state) for r in plan.records] == [(1, ReleaseState.DROPPED)]


def test_an_empty_topic_needs_no_repair() -> None:
    plan = recover(a_state(), [], NOW)
    assert (plan.records, plan.orphans, plan.alias, plan.resume) == ([], [], None, None)


def test_a_generation_number_is_never_used_twice() -> None:
    state = a_state(a_release(1), a_release(5, ReleaseState.FAILED), live=1)
    assert state.next_generation == 6
    assert a_state().next_generation == 1


def test_the_state_is_what_the_topic_says() -> None:
    state = a_state(a_release(1), a_release(2), live=2, previous=1)
    assert state.pointer is not None
    records = [(release_key(g), r.to_json()) for g, r in state.releases.items()]
    other = state.pointer.model_copy(update={"deployment": "other", "sequence": 99})
    log = a_log(*records, (b"main", state.pointer.to_json()), (b"other", other.to_json()))
    assert state_of(log) == state


def plan(state, reports=(), *, keep=2, at=NOW):
    return retain(
        state,
        reports,
        keep=keep,
        refreshes=2,
        grace=timedelta(seconds=60),
        searcher_timeout=timedelta(seconds=30),
        now=at,
    )


def a_refresh(generation, state=ReleaseState.RELEASED, *, of=2):
    return a_release(generation, state, kind="refresh", collection=f"p_g{of:06d}", model_sha256=f"sha{of}")


def test_refreshes_drive_no_generation_out_and_only_the_newest_are_kept() -> None:
    refreshes = [a_refresh(n) for n in range(3, 9)]
    state = a_state(a_release(1), a_release(2), *refreshes, live=8, previous=7)
    found = plan(state)
    assert [r.generation for r in found.retire] == [6, 5, 4, 3]
    assert (found.drop, found.forget) == ([], [])
    back = a_state(a_release(1), a_release(2), *refreshes, live=3, previous=8)
    assert [r.generation for r in plan(back).retire] == [6, 5, 4]


def test_a_collection_goes_with_all_its_refreshes_when_no_searcher_serves_one() -> None:
    retired = ReleaseState.RETIRED
    state = a_state(
        a_release(1, retired), a_refresh(2, retired, of=1), a_release(3), a_release(4), live=4, previous=3
    )
    late = NOW + timedelta(hours=1)
    report = SearcherReport(searcher_id="s", generation=2, sequence=1, ready=True, at=late)
    assert plan(state, [report], at=late).drop == []
    assert [r.generation for r in plan(state, at=late).drop] == [2, 1]


def test_the_records_of_refreshes_long_gone_are_let_go() -> None:
    gone = [a_refresh(n, ReleaseState.DROPPED) for n in range(2, 2 + REMEMBERED + 3)]
    state = a_state(a_release(1), *gone, a_release(500), live=500, previous=1)
    assert [r.generation for r in plan(state).forget] == [4, 3, 2]


def test_a_refresh_that_a_crash_interrupted_fails_and_its_collection_stays() -> None:
    state = a_state(a_release(1), a_refresh(2, ReleaseState.VERIFIED, of=1), live=1)
    found = recover(state, ["p_g000001"], NOW)
    assert [(r.generation, r.state, r.failure) for r in found.records] == [
        (2, ReleaseState.FAILED, ReleaseFailure.GIVEN_UP)
    ]
    assert (found.resume, found.orphans) == (None, [])


def test_refreshes_of_a_lost_collection_stand_while_it_is_built_again() -> None:
    state = a_state(a_release(1), a_release(2), a_refresh(3), a_refresh(4), live=4, previous=3)
    assert [r.generation for r in recover(state, ["p_g000001"], NOW).records] == []


def test_generations_beyond_those_kept_are_retired_and_dropped_after_the_grace() -> None:
    state = a_state(a_release(1), a_release(2), a_release(3), live=3, previous=2)
    assert [r.generation for r in plan(state).retire] == [1]
    assert plan(state, keep=3).retire == []
    retired = state.with_release(a_release(1, ReleaseState.RETIRED))
    assert plan(retired, at=NOW + timedelta(seconds=59)).drop == []
    assert [r.generation for r in plan(retired, at=NOW + timedelta(seconds=60)).drop] == [1]


def test_live_and_previous_are_kept_however_old_they_are() -> None:
    state = a_state(a_release(1), a_release(2), a_release(3), live=1, previous=2)
    assert [r.generation for r in plan(state).retire] == [3]


def test_what_a_rollback_of_the_model_goes_to_is_kept_however_old_it_is() -> None:
    """Of the two that are kept the second was the newest: here one that was taken back."""
    promotion = Promotion(sequence=3, at=NOW, before=a_release(1))
    back = a_release(2, model_sha256="bad")
    refreshed = (a_release(3), a_refresh(4, of=3))
    state = a_state(a_release(1), back, *refreshed, live=4, previous=3, cause="refresh", refreshed=promotion)
    assert [r.generation for r in plan(state).retire] == [2]


def test_a_searcher_that_still_serves_a_generation_holds_it_until_it_falls_silent() -> None:
    state = a_state(a_release(1, ReleaseState.RETIRED), a_release(2), a_release(3), live=3, previous=2)
    late = NOW + timedelta(hours=1)
    report = SearcherReport(
        searcher_id="s", generation=1, sequence=1, ready=True, at=late - timedelta(seconds=30)
    )
    assert plan(state, [report], at=late).drop == []
    assert [r.generation for r in plan(state, [report], at=late + timedelta(seconds=1)).drop] == [1]


def test_a_bad_record_of_a_generation_takes_nothing_from_the_live_and_the_previous_one() -> None:
    """What was written while no indexer ran dropped the live collection, or ended every start."""
    for cause in ("promote", "rollback"):
        whole = a_state(a_release(1), a_release(2), live=1, previous=2, cause=cause)
        assert whole.pointer is not None
        others_table = a_release(1, collection="p_g000077").to_json()
        for bad in (b"garbage", None, others_table):
            for generation in (1, 2):
                records = {release_key(g): r.to_json() for g, r in whole.releases.items()}
                if bad is None:
                    del records[release_key(generation)]
                elif bad != others_table or generation == 1:
                    records[release_key(generation)] = bad
                state = state_of(a_log(*records.items(), (b"main", whole.pointer.to_json())))
                plan = recover(state, ["p_g000001", "p_g000002"], NOW)
                assert (plan.orphans, plan.alias) == ([], "p_g000001")


def test_a_generation_number_that_a_stranger_has_made_up_bars_no_later_one() -> None:
    far = a_release(9_007_199_254_740_991)
    state = state_of(a_log(*((release_key(r.generation), r.to_json()) for r in (a_release(1), far))))
    assert state.next_generation == 2
    state = a_state(a_release(FAR - 1), a_release(FAR))
    assert state.next_generation == FAR + 1


def test_after_the_greatest_sequence_they_begin_anew() -> None:
    pointer = a_state(a_release(1), live=1).pointer
    assert pointer is not None
    assert [pointer.model_copy(update={"sequence": s}).next_sequence for s in (0, 7, EXACT_INTEGER)] == [
        1,
        8,
        1,
    ]
