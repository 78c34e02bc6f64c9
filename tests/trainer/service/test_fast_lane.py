"""When a refresh begins by itself, when it must not, and which folders may go."""

from datetime import UTC, datetime

import pytest

from schemas.releases import LivePointer, Release, ReleaseState, RolledBack
from trainer.service.fast_lane import Tried, due, held, surplus

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENDS = {"0": 5, "1": 7}


def release(generation: int, *, of: int | None = None, **fields: object) -> Release:
    kind = "refresh" if of else "full"
    built = {"model": "m", "model_sha256": "0", "dim": 4, "collection": f"shop_main_g{of or generation:06d}"}
    return Release.model_validate(
        {"generation": generation, "kind": kind, "state": ReleaseState.RELEASED, **built, **fields}
    )


def pointer(live: Release, previous: Release | None = None, **fields: object) -> LivePointer:
    return LivePointer.model_validate(
        {"sequence": 3, "live": live, "previous": previous, "cause": "promote"} | fields
    )


def begins(live: LivePointer | None, tried: Tried, *, ends=ENDS, rested_s=10.0, hurry=False) -> bool:
    return due(live, ends, tried, rested_s=rested_s, every_s=120.0, hurry=hurry)


REFRESHED = pointer(release(3, of=2), release(2), cause="refresh")


def test_new_pairs_wait_for_their_time_and_nothing_is_done_without_any() -> None:
    tried = Tried({"0": 5, "1": 6}, 3)
    assert not begins(REFRESHED, tried)
    assert begins(REFRESHED, tried, rested_s=120)
    assert begins(REFRESHED, tried, hurry=True), "somebody is to be forgotten"
    assert not begins(REFRESHED, Tried(ENDS, 3), rested_s=1e6)
    assert not begins(None, tried, rested_s=1e6), "nothing is live"
    assert not due(REFRESHED, ENDS, tried, rested_s=1e6, every_s=0, hurry=True), "it is turned off"


def test_a_model_that_begins_to_serve_is_refreshed_at_once_and_once() -> None:
    promoted = pointer(release(4), release(3, of=2))
    assert begins(promoted, Tried(ENDS, 3))
    assert not begins(promoted, Tried(ENDS, 4)), "it was tried, and did not pass"
    assert not begins(promoted, Tried(ENDS, 3, failed=True))
    assert begins(promoted, Tried(ENDS, 3, failed=True), rested_s=120)
    assert not begins(pointer(release(1)), Tried(), ends={"0": 0}), "there is no pair yet"


@pytest.mark.parametrize("mark", ["paused", "pinned"])
def test_an_operator_holds_it(mark: str) -> None:
    assert not begins(pointer(release(4), **{mark: True}), Tried())
    assert mark in (held(pointer(release(4), **{mark: True})) or "")


def test_a_refresh_that_was_rolled_back_holds_the_next_until_other_weights_serve() -> None:
    past = RolledBack(actor="ann", reason="boots were gone", at=NOW, weights=False)
    back = pointer(release(2), release(3, of=2, rolled_back=past), cause="rollback")
    assert "rolled back by ann" in (held(back) or "")
    assert not begins(back, Tried({}, 3), rested_s=1e6)
    elsewhere = pointer(release(1), release(3, of=2, rolled_back=past), cause="rollback")
    assert begins(elsewhere, Tried({}, 3))


def test_folders_go_but_for_what_stands_and_the_newest() -> None:
    folders = [f"2026013{day}-120000-00000000" for day in range(9)]
    stands = release(3, of=2, run_id=folders[0])
    gone = release(4, of=2, run_id=folders[1], state=ReleaseState.DROPPED)
    assert surplus(folders, [stands, gone], keep=5) == [folders[3], folders[2], folders[1]]
