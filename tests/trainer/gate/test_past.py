"""The ratchet's baseline: which of the last generations was the best."""

from schemas.releases import LivePointer, Release, ReleaseState
from schemas.training import Check, Decision
from trainer.gate.past import look_back


def release(generation: int, state=ReleaseState.RETIRED, **fields) -> Release:
    return Release(
        generation=generation, model=f"m{generation}", model_sha256=str(generation), dim=4,
        collection=f"c{generation}", state=state, run_id=f"r{generation}", **fields,
    )  # fmt: skip


def judged(generation: int, delta: float, *, before: int | None = None) -> Decision:
    check = Check(name="vs_live", verdict="pass", reason="", delta=delta)
    return Decision(
        decision_id=f"r{generation}",
        run_id=f"r{generation}",
        verdict="pass",
        checks=[check],
        generation_before=before or generation - 1,
    )


def pointer(live: Release) -> LivePointer:
    return LivePointer(sequence=1, live=live, cause="promote")


def there(_: str) -> bool:
    return True


def test_the_first_generation_is_its_own_best():
    past = look_back(pointer(release(1)), [release(1)], [], there=there)
    assert (past.best, past.model, past.tries) == (1, "m1", 0)


def test_gains_are_summed_along_the_chain():
    releases = [release(n) for n in range(1, 5)]
    past = look_back(
        pointer(releases[3]), releases, [judged(2, 0.03), judged(3, -0.004), judged(4, -0.004)], there=there
    )
    assert (past.best, round(past.level, 3)) == (2, 0.03)


def test_live_is_the_best_of_equals():
    releases = [release(1), release(2)]
    assert look_back(pointer(releases[1]), releases, [judged(2, 0.0)], there=there).best == 2


def test_a_generation_that_was_taken_back_failed_or_is_gone_is_no_baseline():
    releases = [release(1), release(2), release(3, ReleaseState.FAILED), release(4), release(5)]
    decisions = [judged(2, 0.5), judged(3, 0.9), judged(4, 0.3, before=1), judged(5, -0.1, before=1)]
    back = Decision(decision_id="main-000003", verdict="pass", generation_before=2, generation_after=1)
    past = look_back(pointer(releases[4]), releases, [*decisions, back], there=lambda model: model != "m4")
    assert past.best == 1


def test_older_than_ten_generations_is_forgotten():
    releases = [release(n) for n in range(1, 13)]
    decisions = [judged(2, 0.5), *(judged(n, -0.01) for n in range(3, 13))]
    assert look_back(pointer(releases[-1]), releases, decisions, there=there).best == 3


def test_tries_count_candidates_judged_against_the_same_live():
    decisions = [judged(2, 0.1), judged(3, 0.0, before=2), judged(4, 0.0, before=2)]
    assert look_back(pointer(release(2)), [release(1), release(2)], decisions, there=there).tries == 2


def test_a_generation_and_its_refreshes_are_one_and_those_of_others_no_baseline_of_their_own():
    """A refresh every two minutes left no earlier generation among the last ten, and no try was counted."""
    refreshes = [
        release(n, kind="refresh").model_copy(update={"collection": "c2", "model": "m2"})
        for n in range(3, 20)
    ]
    releases = [release(1), release(2), *refreshes]
    decisions = [judged(2, -0.1), judged(30, 0.0, before=2), judged(31, 0.0, before=7)]
    own = judged(19, 0.0, before=18).model_copy(update={"kind": "refresh"})
    past = look_back(pointer(refreshes[-1]), releases, [*decisions, own], there=there)
    assert (past.best, past.kind, past.tries) == (1, "full", 2)
    good = [judged(2, 0.1), *decisions[1:]]
    past = look_back(pointer(refreshes[-1]), releases, good, there=there)
    assert (past.best, past.kind, round(past.level, 3)) == (19, "refresh", 0.1)


def test_a_number_below_that_of_a_refresh_is_not_taken_for_a_rollback():
    releases = [release(1), release(3), release(4), release(5)]
    proven = [Check(name="recall", verdict="pass", reason="")]
    built = Decision(
        decision_id="main-000003", verdict="pass", generation_before=4, generation_after=3, checks=proven
    )
    decisions = [judged(4, 0.5, before=1), judged(5, -0.1, before=4), built]
    assert look_back(pointer(releases[3]), releases, decisions, there=there).best == 4
