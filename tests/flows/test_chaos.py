"""The claim of exactness, small: benchmarks/chaos.py is the whole of it."""

import pytest

from benchmarks.chaos import run
from benchmarks.exactness.contrast import contrast

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(1800)]


async def test_what_is_learnt_is_the_same_bytes_though_workers_and_broker_are_killed_paused_and_exchanged(
    tmp_path,
):
    report = await run(seed=5, events=1500, kills=1, workers=2, rtt_ms=5.0, folder=tmp_path)
    assert report["equal_to_clean"]
    assert report["equal_to_reference"]
    assert (report["lost"], report["double"], report["gaps"]) == (0, 0, 0)
    assert report["unaccounted"] == {}
    assert report["faults"] == {"kill": 1, "pause": 1, "join": 1, "leave": 1, "broker": 1}
    assert report["rebalances"] > 5
    assert report["pairs"] > 300


async def test_a_start_behind_a_slow_network_loses_nothing(tmp_path):
    """Stock Faust loses here in most starts, but not in all, so the contrast is the benchmark's.

    ``chaos.py --contrast``.
    """
    report = await contrast(5, tmp_path, {"ours": "stream"}, events=1000, stalled_s=240)
    assert report["ours"] == {"pairs_wrong": 0, "lost": 0, "double": 0, "holes": 0, "settled": True}
