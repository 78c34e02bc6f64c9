"""The benchmark of made up clients, small and without training."""

import argparse
from pathlib import Path

import pytest

pytestmark = pytest.mark.model


def test_made_up_clients_count_like_a_few_and_dated_back_not_at_all(tmp_path: Path) -> None:
    from benchmarks.poison import Bench  # noqa: PLC0415 it brings torch

    bench = Bench(argparse.Namespace(seed=3, products=120, sessions=300, each=1, steps=0), tmp_path)
    arms = {name: arm["credit"] for name, arm in bench.protection({}).items()}
    assert arms["plain_300"]["on"] < 0.02 * arms["plain_300"]["off"]
    assert arms["broad_30"]["on"] > 0.5 * arms["broad_30"]["off"]
    assert bench.dated_back()["plain_60"] == 0
    assert 0 <= bench.price({})["newcomers_credit_lost"] < 0.03
