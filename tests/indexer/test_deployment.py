from datetime import datetime, timedelta

import pytest

from indexer.changes import marked, switched
from indexer.deployment import Abort, Accept, Build, Mark, Refresh, Reject, Repeated, Switch, may_publish
from indexer.deployment import decide as decide_at
from indexer.state import State
from schemas.releases import Candidate, DeploymentCommand, Ranking, Release, ReleaseState, RolledBack
from tests.indexer.builders import a_candidate, a_command, a_state
from tests.releases import NOW, a_release

TWO = a_state(a_release(1), a_release(2), live=2, previous=1)


def decide(state: State, command: DeploymentCommand, *, at: datetime = NOW) -> Accept | Reject:
    return decide_at(state, command, now=at, cooldown=timedelta(minutes=30))


def reason(verdict: object) -> str:
    assert isinstance(verdict, Reject), verdict
    return verdict.reason


def test_a_new_candidate_is_built() -> None:
    assert decide(TWO, a_command("promote", candidate=a_candidate(), expected_generation=2)) == Build(
        a_candidate()
    )


@pytest.mark.parametrize("action", ["promote", "rollback", "pause", "pin"])
def test_a_command_that_expects_another_generation_is_stale(action: str) -> None:
    assert "stale" in reason(decide(TWO, a_command(action, expected_generation=1, candidate=a_candidate())))


def test_the_same_weights_are_not_promoted_again_unless_forced_with_a_reason() -> None:
    again = a_candidate("sha1")
    assert "already has these weights" in reason(decide(TWO, a_command("promote", candidate=again)))
    assert "needs a reason" in reason(decide(TWO, a_command("promote", candidate=again, force=True)))
    assert decide(TWO, a_command("promote", candidate=again, force=True, reason="lost rows")) == Build(again)


def test_weights_that_failed_before_may_be_tried_again() -> None:
    state = a_state(a_release(1), a_release(2, ReleaseState.FAILED, model_sha256="new"), live=1)
    assert decide(state, a_command("promote", candidate=a_candidate())) == Build(a_candidate())


def test_a_second_candidate_waits_for_the_build_that_runs() -> None:
    state = a_state(a_release(1), a_release(2, ReleaseState.BUILDING), live=1)
    assert "being built" in reason(decide(state, a_command("promote", candidate=a_candidate())))
    assert decide(state, a_command("abort")) == Abort(2)
    assert "nothing is being built" in reason(decide(TWO, a_command("abort")))


def test_promote_takes_a_candidate_or_a_generation_but_not_both() -> None:
    assert "either" in reason(decide(TWO, a_command("promote")))
    assert "either" in reason(decide(TWO, a_command("promote", candidate=a_candidate(), target_generation=1)))
    assert decide(TWO, a_command("promote", target_generation=1)) == Switch(TWO.releases[1])


def test_rollback_goes_to_the_previous_generation_or_to_the_one_named() -> None:
    state = a_state(a_release(1, ReleaseState.RETIRED), a_release(2), a_release(3), live=3, previous=2)
    assert decide(state, a_command("rollback")) == Switch(state.releases[2])
    assert decide(state, a_command("rollback", target_generation=1)) == Switch(state.releases[1])


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (9, "does not exist"),
        (2, "live already"),
        (3, "failed and has no collection"),
        (4, "dropped and has no"),
    ],
)
def test_rollback_to_what_cannot_serve_is_rejected(target: int, why: str) -> None:
    state = a_state(
        a_release(1),
        a_release(2),
        a_release(3, ReleaseState.FAILED),
        a_release(4, ReleaseState.DROPPED),
        live=2,
        previous=1,
    )
    assert why in reason(decide(state, a_command("rollback", target_generation=target)))


def test_rollback_without_a_previous_generation_is_rejected() -> None:
    assert "no previous" in reason(decide(a_state(a_release(1), live=1), a_command("rollback")))


def test_a_paused_deployment_refuses_promotions_but_rolls_back() -> None:
    state = a_state(a_release(1), a_release(2), live=2, previous=1, paused=True)
    assert "paused" in reason(decide(state, a_command("promote", candidate=a_candidate())))
    assert isinstance(decide(state, a_command("rollback")), Switch)
    assert decide(state, a_command("resume")) == Mark(paused=False, pinned=False)


def test_a_pinned_generation_is_left_only_by_force() -> None:
    state = a_state(a_release(1), a_release(2), live=2, previous=1, pinned=True)
    assert "pinned" in reason(decide(state, a_command("rollback")))
    assert "pinned" in reason(decide(state, a_command("promote", candidate=a_candidate())))
    assert isinstance(decide(state, a_command("rollback", force=True, reason="outage")), Switch)
    assert decide(state, a_command("unpin")) == Mark(paused=False, pinned=False)


def rolled_back(actor: str = "ann") -> RolledBack:
    return RolledBack(actor=actor, reason="boots were gone", at=NOW)


def test_weights_that_were_rolled_back_do_not_serve_again_unless_forced_with_a_reason() -> None:
    state = a_state(a_release(1), a_release(2, rolled_back=rolled_back()), a_release(3), live=3, previous=2)
    commands = [
        a_command("rollback"),
        a_command("promote", target_generation=2),
        a_command("promote", candidate=a_candidate("sha2")),
    ]
    for command in commands:
        assert "rolled back by ann (boots were gone)" in reason(decide(state, command))
        forced = command.model_copy(update={"force": True, "reason": "it was the data"})
        assert not isinstance(decide(state, forced), Reject)
    assert decide(state, a_command("rollback", target_generation=1)) == Switch(state.releases[1])


def test_nothing_is_promoted_for_a_while_after_an_automatic_rollback() -> None:
    state = a_state(
        a_release(1), a_release(2, ReleaseState.DROPPED, rolled_back=rolled_back("guard")), live=1
    )
    command = a_command("promote", candidate=a_candidate("better"))
    assert "cooling down" in reason(decide(state, command, at=NOW + timedelta(minutes=29)))
    assert isinstance(decide(state, command, at=NOW + timedelta(minutes=30)), Build)
    assert isinstance(decide(state, command.model_copy(update={"force": True, "reason": "mended"})), Build)
    by_hand = a_state(a_release(1), a_release(2, rolled_back=rolled_back()), live=1)
    assert isinstance(decide(by_hand, command), Build)


def test_a_command_that_comes_again_after_others_is_still_known() -> None:
    state = a_state(a_release(1), a_release(2), live=1, previous=2, command_id="c9", carried_out=["c1", "c9"])
    assert decide(state, a_command("rollback", "c1")) == Repeated()


def test_marks_are_independent() -> None:
    state = a_state(a_release(1), live=1, paused=True)
    assert decide(state, a_command("pin")) == Mark(paused=True, pinned=True)


def test_a_command_that_was_carried_out_is_repeated_without_effect() -> None:
    rolled = a_state(a_release(1), a_release(2), live=1, previous=2, command_id="c1")
    assert decide(rolled, a_command("rollback", "c1")) == Repeated()
    built = a_state(
        a_release(1), a_release(2, ReleaseState.FAILED, command=a_command("promote", "c2")), live=1
    )
    assert decide(built, a_command("promote", "c2", candidate=a_candidate())) == Repeated()


def test_a_command_that_has_expired_is_refused_and_one_that_was_carried_out_is_repeated() -> None:
    """The command line said that a rollback was refused; thirteen minutes later it was carried out."""
    soon = NOW + timedelta(seconds=60)
    command = a_command("rollback", expires_at=soon)
    assert isinstance(decide(TWO, command, at=soon), Switch)
    assert "expired" in reason(decide(TWO, command, at=soon + timedelta(seconds=1)))
    done = a_state(a_release(1), a_release(2), live=1, previous=2, command_id="c1")
    assert decide(done, command, at=soon + timedelta(days=1)) == Repeated()


def test_nothing_is_promoted_before_the_first_generation_is_live() -> None:
    assert "no live generation" in reason(decide(a_state(), a_command("promote", candidate=a_candidate())))


def test_a_build_is_asked_again_before_it_is_published() -> None:
    command = a_command("promote", candidate=a_candidate(), expected_generation=2)
    assert may_publish(TWO, command) is None
    rolled = a_state(a_release(1), a_release(2), live=1, previous=2)
    assert "stale" in (may_publish(rolled, command) or "")


NEW = Ranking(coefficients={"dense": 1.0, "memory": 0.5}, language="english")


def a_refresh(**fields: object) -> Candidate:
    values = {"kind": "refresh", "model": "m2", "model_sha256": "sha2", "dim": 4, "ranking": NEW}
    return Candidate.model_validate(values | fields)


def refreshing(expected: int | None = 2, **fields: object) -> DeploymentCommand:
    return a_command("promote", candidate=a_refresh(**fields), expected_generation=expected)


def a_refreshed(generation: int, **fields: object) -> Release:
    values = {"kind": "refresh", "model": "m2", "model_sha256": "sha2", "collection": "p_g000002"}
    return a_release(generation, **{**values, **fields})


def test_a_refresh_has_the_model_that_serves_and_says_what_it_refreshes() -> None:
    assert decide(TWO, refreshing()) == Refresh(a_refresh())
    assert "expected_generation" in reason(decide(TWO, refreshing(None)))
    assert "stale" in reason(decide(TWO, refreshing(1)))
    assert "other weights" in reason(decide(TWO, refreshing(model_sha256="sha1")))
    assert "ranks so already" in reason(decide(TWO, refreshing(ranking=Ranking())))
    building = TWO.with_release(a_release(3, ReleaseState.BUILDING))
    assert decide(building, refreshing()) == Refresh(a_refresh()), "a build is no reason to wait"


def test_pause_and_pin_hold_for_refreshes() -> None:
    for mark in ("paused", "pinned"):
        held = a_state(a_release(1), a_release(2), live=2, previous=1, **{mark: True})
        assert mark in reason(decide(held, refreshing()))


def test_what_was_compared_with_a_generation_may_follow_its_refreshes_and_nothing_else() -> None:
    """A run takes longer than the time between two refreshes: else none could ever be promoted."""
    command = a_command("promote", candidate=a_candidate(), expected_generation=2)
    refreshed = a_state(a_release(1), a_release(2), a_refreshed(3), a_refreshed(4), live=4, previous=3)
    assert decide(refreshed, command) == Build(a_candidate())
    assert decide(refreshed, command.model_copy(update={"expected_generation": 3})) == Build(a_candidate())
    assert "stale" in reason(decide(refreshed, command.model_copy(update={"expected_generation": 1})))
    rolled = a_state(a_release(1), a_release(2), a_refreshed(3), live=1, previous=3)
    assert "stale" in reason(decide(rolled, command))


def test_a_refresh_that_was_rolled_back_bars_the_next_one_and_not_its_weights() -> None:
    past = RolledBack(actor="ann", reason="boots were gone", at=NOW, weights=False)
    state = a_state(a_release(1), a_release(2), a_refreshed(3, rolled_back=past), live=2, previous=3)
    assert "refresh 3 was rolled back by ann (boots were gone)" in reason(decide(state, refreshing()))
    forced = refreshing().model_copy(update={"force": True, "reason": "it was the data"})
    assert decide(state, forced) == Refresh(a_refresh())
    assert "rolled back by ann" in reason(decide(state, a_command("promote", target_generation=3)))
    again = a_state(*state.releases.values(), a_refreshed(4), live=4, previous=2)
    assert isinstance(decide(again, refreshing(4)), Refresh), "one was let in since"
    assert decide(again, a_command("rollback")) == Switch(again.releases[2])


def test_a_refresh_goes_back_at_once_and_the_promotion_before_it_is_watched_on() -> None:
    def pointed(before, release, command):
        return switched(before, release, command, deployment="main", now=NOW)

    promoted = pointed(a_state(a_release(1), live=1).pointer, a_release(2), a_command("promote"))
    once = pointed(promoted, a_refreshed(3), refreshing())
    twice = pointed(once, a_refreshed(4), refreshing(3))
    assert (twice.cause, twice.previous) == ("refresh", a_refreshed(3))
    assert twice.promotion == once.promotion == promoted.promotion
    assert promoted.promotion is not None
    assert promoted.promotion.before.generation == 1
    back = pointed(twice, a_refreshed(3), a_command("rollback"))
    assert back.previous is not None
    assert back.previous.rolled_back is not None
    assert (back.promotion, back.previous.rolled_back.weights) == (None, False)
    away = pointed(twice, a_release(1), a_command("rollback"))
    assert away.previous is not None
    assert away.previous.rolled_back is not None
    assert away.previous.rolled_back.weights
    state = a_state(a_release(1), a_release(2), away.previous, live=1).with_pointer(away)
    assert "rolled back" in reason(decide(state, a_command("promote", "c2", target_generation=2)))


def test_what_served_before_these_weights_is_named_until_others_serve() -> None:
    """Refreshes come within seconds; then previous is the same model."""

    def pointed(before, release, command):
        return switched(before, release, command, deployment="main", now=NOW)

    def named(pointer) -> list[int]:
        return [release.generation for release in pointer.named]

    promoted = pointed(a_state(a_release(1), live=1).pointer, a_release(2), a_command("promote"))
    once = pointed(promoted, a_refreshed(3), refreshing())
    twice = pointed(once, a_refreshed(4), refreshing(3))
    assert [named(pointer) for pointer in (promoted, once, twice)] == [[2, 1], [3, 2, 1], [4, 3, 1]]
    undone = pointed(twice, a_refreshed(3), a_command("rollback"))
    again = pointed(undone, a_refreshed(5), refreshing(3))
    assert [named(pointer) for pointer in (undone, again)] == [[3, 4, 1], [5, 3, 1]]
    for action in ("pause", "pin"):
        held = marked(promoted, a_command(action), paused=True, pinned=True, now=NOW)
        refreshed = pointed(held, a_refreshed(3), refreshing())
        assert (named(held), held.promotion) == ([2, 1], None), "what is held is not watched"
        assert (named(refreshed), refreshed.promotion) == ([3, 2, 1], promoted.promotion)
    assert named(pointed(twice, a_release(1), a_command("rollback"))) == [1, 4]
    assert named(pointed(twice, a_release(6), a_command("promote"))) == [6, 4]
