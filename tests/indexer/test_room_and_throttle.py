from datetime import timedelta
from pathlib import Path

import pytest

from indexer.room import Room, free_room, missing_room
from indexer.throttle import next_pause_ms, observed_p95
from schemas.releases import SearcherReport
from tests.indexer.builders import NOW

GB = 10**9


def lack(disk: int, memory: int) -> str | None:
    return missing_room(Room(disk, memory), rows=100_000, dim=384, model_bytes=GB // 10)


def test_a_build_that_does_not_fit_says_what_it_lacks() -> None:
    assert lack(4 * GB, 4 * GB) is None
    assert "not enough disk" in (lack(GB // 2, 4 * GB) or "")
    assert "not enough memory" in (lack(4 * GB, GB // 2) or "")


def test_the_machine_tells_its_room(tmp_path) -> None:
    room = free_room(tmp_path)
    assert room.disk > 0
    assert room.memory > 0


def pause(now: float, observed: float | None, calm: float | None = 30.0) -> float:
    return next_pause_ms(now, observed, calm, least=5, most=2000, slowdown=2)


@pytest.mark.parametrize(
    ("bound", "free"), [("3000", 3000 - 2500 + 700), ("2000", 200), ("1000", 0), ("max", None), (None, None)]
)
def test_in_a_container_the_memory_that_its_bound_leaves_is_free(
    bound: str | None, free: int | None, tmp_path: Path
) -> None:
    """Kubernetes ends a pod that takes more, however much the node has."""
    if bound is not None:
        (tmp_path / "memory.max").write_text(f"{bound}\n")
        (tmp_path / "memory.current").write_text("2500\n")
        (tmp_path / "memory.stat").write_text("anon 1200\nfile 900\ninactive_file 700\nactive_file 200\n")
    room = free_room(tmp_path, tmp_path)
    if free is None:
        assert room.memory > 2**20
    else:
        assert room.memory == free


def test_a_build_waits_longer_while_searches_are_slow_and_recovers() -> None:
    waits = [5.0]
    for _ in range(10):
        waits.append(pause(waits[-1], 100.0))
    assert waits == sorted(waits)
    assert waits[-1] == 2000
    for _ in range(10):
        waits.append(pause(waits[-1], 40.0))
    assert waits[-1] == 5


@pytest.mark.parametrize("observed", [None, 10.0, 39.0])
def test_fast_or_unasked_searches_hold_nothing_up(observed: float | None) -> None:
    assert pause(5, observed, None) == 5


def test_what_is_observed_is_the_slowest_searcher_that_spoke_lately() -> None:
    def report(name: str, p95: float | None, age_s: float) -> SearcherReport:
        return SearcherReport(
            searcher_id=name, sequence=1, ready=True, recent_p95_ms=p95, at=NOW - timedelta(seconds=age_s)
        )

    assert (
        observed_p95(
            [report("a", 20.0, 1), report("b", 50.0, 2), report("c", 900.0, 60), report("d", None, 1)], NOW
        )
        == 50.0
    )
    assert observed_p95([], NOW) is None
