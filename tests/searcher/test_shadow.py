import pytest

from searcher.shadow import Replay, objection

LIVE = Replay(asked=50, errors=1, empty=2, p50_ms=10.0)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (Replay(50, 1, 2, 10.0), None),
        (Replay(50, 0, 3, 10.0), None),
        (Replay(50, 2, 2, 10.0), "2 of the last 50 requests fail"),
        (Replay(50, 1, 4, 10.0), "no hits for 4 of the last 50"),
        (Replay(50, 1, 2, 900.0), None),
        (Replay(0, 0, 0, 0.0), None),
    ],
)
def test_errors_and_missing_hits_are_objections_and_latency_is_none(new: Replay, why: str | None) -> None:
    reason = objection(new, LIVE)
    assert reason is None if why is None else why in (reason or "")
