"""A full disk is told once, and so is room."""

from pathlib import Path

from embedded.disk import DiskWatch

MB = 1 << 20


def test_a_disk_that_fills_and_empties_is_told_once_each_and_not_while_it_stands_at_its_edge() -> None:
    told: list[str] = []
    left = iter([500, 1, 0, 30, 3, 70, 65, 20, 2])
    watch = DiskWatch(Path("data"), told.append, free=lambda _: next(left) * MB)
    states = []
    for _ in range(9):
        watch.look()
        states.append((watch.full, len(told)))
    assert states == [
        (False, 0),
        (True, 1),
        (True, 1),
        (True, 1),
        (True, 1),
        (False, 2),
        (False, 2),
        (False, 2),
        (True, 3),
    ]
    assert "the disk of data is full (1 MB free)" in told[0]
    assert "has room again (70 MB free)" in told[1]


def test_a_folder_that_cannot_be_looked_at_is_not_told(tmp_path: Path) -> None:
    told: list[str] = []
    DiskWatch(tmp_path / "gone", told.append).look()
    assert told == []
