"""Events over HTTP through an outage, small: benchmarks/outage.py is the whole of it."""

from pathlib import Path

import pytest

from benchmarks.outage import API_KILLS, NOTHING, run


@pytest.mark.broker
@pytest.mark.slow
async def test_what_the_api_accepts_counts_once_though_it_and_the_broker_are_killed(tmp_path: Path):
    report = await run(tmp_path, seed=5, events=4000, clients=4, away_s=3.0)
    assert {name: report[name] for name in NOTHING} == dict.fromkeys(NOTHING, 0)
    assert report["records"] > 3500
    assert report["refused"] > 0
    assert (report["api_kills"], report["records_left_then"] > 0) == (API_KILLS, True)
    assert report["unanswered"]
