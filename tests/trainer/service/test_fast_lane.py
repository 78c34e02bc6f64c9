"""When a refresh begins by itself, when it must not, and which folders may go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from artefacts.collecting import forget
from artefacts.folders import StoreAwayError
from artefacts.local_folders import LocalFolders
from artefacts.located import folders_of
from broker.reading import Reader
from schemas.releases import LivePointer, Ranking, Release, ReleaseState, RolledBack
from schemas.settings import TrainerSettings
from schemas.topics import ERASURES, PAIRS
from trainer.data.snapshot import FORGETTING_S
from trainer.service.fast_lane import FastLane
from trainer.service.refresh_due import (
    Failures,
    Forgetting,
    Tried,
    clears,
    due,
    held,
    may_serve,
    refits,
    surplus,
)
from trainer.service.worker import Worker

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENDS = {"0": 5, "1": 7}
NEVER, NOBODY = Failures(), Forgetting()


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


def begins(
    live: LivePointer | None,
    tried: Tried,
    *,
    ends=ENDS,
    rested_s=10.0,
    every_s=120.0,
    failures=NEVER,
    forgetting=NOBODY,
) -> bool:
    return due(
        live, ends, tried, rested_s=rested_s, every_s=every_s, failures=failures, forgetting=forgetting
    )


def tried(generation: int | None = 3, **ends: int) -> Tried:
    return Tried(ends={"0": 5, "1": 7} | ends, generation=generation)


REFRESHED = pointer(release(3, of=2), release(2), cause="refresh")
BEFORE = Tried(ends={"0": 5, "1": 6}, generation=3)


def test_new_pairs_wait_for_their_time_and_nothing_is_done_without_any() -> None:
    assert not begins(REFRESHED, BEFORE)
    assert begins(REFRESHED, BEFORE, rested_s=120)
    assert not begins(REFRESHED, tried(), rested_s=1e6)
    assert not begins(None, BEFORE, rested_s=1e6), "nothing is live"
    assert not begins(REFRESHED, BEFORE, rested_s=1e6, every_s=0), "it is turned off"
    assert not begins(pointer(release(4)), BEFORE, rested_s=1e6, every_s=0)


def test_somebody_who_is_to_be_forgotten_waits_for_nothing_but_the_pairs_not_even_where_it_is_off() -> None:
    asked, lately = Forgetting(asked=True), Forgetting(lately=True)
    assert begins(REFRESHED, BEFORE, forgetting=asked)
    assert begins(REFRESHED, BEFORE, forgetting=asked, every_s=0)
    assert not begins(REFRESHED, tried(), forgetting=asked, rested_s=1e6), "nothing has gone of the pairs"
    assert not begins(REFRESHED, BEFORE, forgetting=lately, every_s=0)
    assert begins(REFRESHED, BEFORE, forgetting=lately, every_s=0, rested_s=120), "pairs have gone since"


def test_a_model_that_begins_to_serve_is_refreshed_at_once_and_once() -> None:
    promoted, failed = pointer(release(4), release(3, of=2)), NEVER.again(REFRESHED, "no room")
    assert begins(promoted, tried(3))
    assert not begins(promoted, tried(4)), "it was tried, and did not pass"
    assert not begins(promoted, tried(3), failures=failed)
    assert begins(promoted, tried(3), failures=failed, rested_s=240)
    assert not begins(pointer(release(1)), Tried(), ends={"0": 0}), "there is no pair yet"


def test_what_fails_is_tried_again_after_longer_and_longer_pauses() -> None:
    failures, pauses = NEVER, []
    for number in range(7):
        failures = failures.again(REFRESHED, f"generation {number} is not there")
        pauses.append(
            next(s for s in range(10_000) if begins(REFRESHED, BEFORE, failures=failures, rested_s=s))
        )
    assert pauses == [240, 480, 960, 1920, 3600, 3600, 3600]
    assert failures.why == NEVER.again(REFRESHED, "generation 17 is not there").why, "it is told once"


def test_whoever_changes_the_pointer_has_what_failed_tried_again() -> None:
    """As resume does: a refresh by which somebody is to be forgotten was refused, and is owed."""
    refused = NEVER.again(REFRESHED, "promotions are paused")
    resumed = REFRESHED.model_copy(update={"sequence": REFRESHED.sequence + 2})
    assert not begins(REFRESHED, BEFORE, failures=refused, forgetting=Forgetting(asked=True))
    assert begins(resumed, BEFORE, failures=refused, forgetting=Forgetting(asked=True))
    assert not begins(pointer(release(3, of=2), paused=True), BEFORE, forgetting=Forgetting(asked=True))


@pytest.mark.parametrize("mark", ["paused", "pinned"])
def test_an_operator_holds_it(mark: str) -> None:
    assert not begins(pointer(release(4), **{mark: True}), Tried())
    assert mark in (held(pointer(release(4), **{mark: True})) or "")


def test_a_refresh_that_was_rolled_back_holds_the_next_until_other_weights_serve() -> None:
    past = RolledBack(actor="ann", reason="boots were gone", at=NOW, weights=False)
    back = pointer(release(2), release(3, of=2, rolled_back=past), cause="rollback")
    assert "rolled back by ann" in (held(back) or "")
    assert not begins(back, Tried(generation=3), rested_s=1e6)
    elsewhere = pointer(release(1), release(3, of=2, rolled_back=past), cause="rollback")
    assert begins(elsewhere, Tried(generation=3))


def test_coefficients_and_a_ranker_are_fitted_again_once_the_last_try_is_old_enough() -> None:
    weighs = pointer(release(3, of=2, ranking=Ranking(coefficients={"dense": 1.0, "memory": 0.5})))
    hour, tried_at = timedelta(hours=1), Tried(refitted_at=NOW)
    kept = Tried.model_validate_json(tried_at.model_dump_json())
    assert not refits(weighs, kept, now=NOW + timedelta(minutes=59), every=hour)
    assert refits(weighs, kept, now=NOW + hour, every=hour)
    assert refits(weighs, kept, now=NOW - timedelta(minutes=1), every=hour), "the clock was set back"
    assert refits(weighs, kept, now=NOW, every=timedelta(0))
    assert refits(weighs, Tried(), now=NOW, every=hour), "none was tried"


def test_where_the_cosine_alone_serves_each_refresh_fits_or_it_would_change_nothing() -> None:
    alone = pointer(release(4, ranking=Ranking(coefficients={"dense": 1.0, "memory": 0.0})))
    assert refits(alone, Tried(refitted_at=NOW), now=NOW, every=timedelta(hours=1))


def test_folders_go_but_for_what_stands_and_the_newest() -> None:
    folders = [f"2026013{day}-120000-00000000" for day in range(9)]
    stands = release(3, of=2, run_id=folders[0])
    gone = release(4, of=2, run_id=folders[1], state=ReleaseState.DROPPED)
    assert surplus(folders, [stands, gone], keep=5) == [folders[3], folders[2], folders[1]]


def test_snapshots_go_at_once_and_until_what_was_put_meanwhile_is_gone_and_then_stay() -> None:
    asked, last = Tried(erased_at=NOW), NOW + timedelta(seconds=FORGETTING_S)
    assert not clears(Tried(), now=NOW)
    assert clears(asked, now=NOW)
    assert clears(asked, now=NOW - timedelta(days=1)), "the clock was set back"
    done, at = [], NOW
    while at < NOW + timedelta(days=1):
        if clears(asked, now=at):
            done.append(at)
            asked = Tried.model_validate_json(asked.model_copy(update={"cleared_at": at}).model_dump_json())
        at += timedelta(seconds=50)
    assert done[0] == NOW
    assert last <= done[-1] < last + timedelta(seconds=50)
    late = Tried(erased_at=NOW, cleared_at=NOW)
    assert clears(late, now=NOW + timedelta(days=9)), "the trainer was down meanwhile"


class Ends:
    """Where the topics end: one pair, and as many requests to forget as were made."""

    def __init__(self, settings: TrainerSettings) -> None:
        self._settings, self.requests = settings, 0

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        topic = self._settings.topic
        return {(topic(PAIRS.name), 0): 1, (topic(ERASURES.name), 0): self.requests}


def a_lane(settings: TrainerSettings) -> FastLane:
    lane = FastLane(settings, cast("Worker", None), launcher=None)  # type: ignore[arg-type]
    lane._folder.mkdir(parents=True, exist_ok=True)
    lane._tried = lane._read_tried()
    return lane


async def test_snapshots_and_reports_go_once_somebody_asks_whatever_becomes_of_a_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where what serves is pinned: no refresh begins, or each is refused. Also after kill -9."""
    settings = TrainerSettings(data_dir=tmp_path)
    store, ends = folders_of(settings), Ends(settings)
    reader = cast("Reader", ends)
    (tmp_path / "report.html").write_text("zorvel")
    lane = a_lane(settings)
    for _ in range(2):
        kept = {store.put(kind, "ab" * 32, tmp_path / "report.html") for kind in ("models", "reports")}
        await lane._look(reader)
        await lane._clear()
        assert set(store.found()) == kept
        ends.requests += 1
        await lane._look(reader)
        lane = a_lane(settings)
        await lane._look(reader)
        with monkeypatch.context() as away:
            away.setattr(LocalFolders, "remove", stays_away)
            await lane._clear()
        assert set(store.found()) == kept
        lane = a_lane(settings)
        await lane._look(reader)
        await lane._clear()
        assert set(store.found()) == kept - {f"store:reports/{'ab' * 32}"}


def stays_away(*_: object, **__: object) -> list[str]:
    raise StoreAwayError("the store does not answer")


def test_a_generation_that_is_being_built_keeps_its_memory_when_somebody_is_forgotten(tmp_path: Path) -> None:
    store = LocalFolders(tmp_path / "store")
    (tmp_path / "words").write_text("zorvel")
    states = (ReleaseState.RELEASED, ReleaseState.BUILDING, ReleaseState.VERIFIED, ReleaseState.DROPPED)
    known = []
    for number, state in enumerate(states, start=1):
        digest = f"{number:064x}"
        memory = Ranking(artefacts={"memory": (store.put("memories", digest, tmp_path / "words"), digest)})
        known.append(release(number, ranking=memory, state=state))
    gone = forget(store, may_serve(pointer(known[0]), known), now=datetime.now(UTC) + timedelta(minutes=1))
    assert gone == [known[3].ranking.artefacts["memory"][0]]
