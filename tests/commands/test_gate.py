"""``gate power`` and the pinned queries, from the files of a data directory, without a broker."""

import json

import pytest

from commands.gate import list_pins, pin, power, unpin
from tests.trainer.evaluations import an_evaluation


def told(capsys):
    return json.loads(capsys.readouterr().out)


def run_folder(data_dir, name, *, lift=0.2):
    folder = data_dir / "runs" / name / "evaluation"
    folder.mkdir(parents=True)
    made = an_evaluation(lift=lift)
    results = made.results.with_columns(system=made.results["system"].replace("base", "live"))
    type(made)(made.queries, results, made.facts).write(folder, [])


def test_without_runs_the_spread_is_the_documented_one(tmp_path, capsys):
    power(gain=None, sd=None, data_dir=tmp_path, as_json=True)
    facts = told(capsys)
    assert facts["sd"] == 0.18
    assert facts["source"].startswith("default")
    assert {"gain": 0.02, "power": 0.9, "queries": 694} in facts["needed"]


def test_the_spread_is_that_of_earlier_runs(tmp_path, capsys):
    run_folder(tmp_path, "20260101-000000-a")
    run_folder(tmp_path, "20260102-000000-b", lift=0.4)
    run_folder(tmp_path, "20260103-000000-c", lift=0.0)  # equal to live: says nothing
    power(gain=0.05, sd=None, data_dir=tmp_path, as_json=True)
    facts = told(capsys)
    assert [round(r["sd"], 3) for r in facts["runs"]] == [0.101, 0.203]
    assert facts["sd"] == pytest.approx(0.152, abs=0.001)
    assert facts["newest_run"]["queries"] == 40


def test_a_gain_of_nothing_is_wrong_usage(tmp_path):
    with pytest.raises(SystemExit) as ended:
        power(gain=0.0, sd=None, data_dir=tmp_path, as_json=True)
    assert ended.value.code == 2


def test_a_query_is_pinned_anew_and_taken_out(tmp_path, capsys):
    pin("XBox", ["a"], k=10, data_dir=tmp_path, as_json=True)
    pin("xbox", ["a", "b"], k=3, data_dir=tmp_path, as_json=True)
    capsys.readouterr()
    list_pins(data_dir=tmp_path, as_json=True)
    assert told(capsys) == [{"query": "xbox", "products": ["a", "b"], "k": 3}]
    unpin("XBOX", data_dir=tmp_path, as_json=True)
    assert told(capsys) == []
    with pytest.raises(SystemExit) as ended:
        unpin("xbox", data_dir=tmp_path, as_json=True)
    assert ended.value.code == 1


def test_a_broken_file_is_named_and_kept(tmp_path):
    (tmp_path / "pinned_queries.jsonl").write_text("nonsense\n")
    for act in (
        lambda: list_pins(data_dir=tmp_path, as_json=True),
        lambda: pin("a", ["b"], k=1, data_dir=tmp_path, as_json=True),
    ):
        with pytest.raises(SystemExit):
            act()
    assert (tmp_path / "pinned_queries.jsonl").read_text() == "nonsense\n"
