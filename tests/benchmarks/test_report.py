"""What every benchmark says besides its figures: where they were taken, and of which commit."""

import json
import re
from pathlib import Path

from benchmarks.harness.report import commit, finish

RESULTS = Path(__file__).parents[2] / "benchmarks" / "RESULTS.md"


def test_a_report_is_one_line_and_names_the_commit(capsys) -> None:
    assert finish("x", seed=3, started=0.0, ok=False, figure=1.5) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["benchmark"], report["seed"], report["ok"], report["figure"]) == ("x", 3, False, 1.5)
    assert report["commit"] == commit()
    assert report["commit"] is None or re.fullmatch(r"[0-9a-f]{7,40}\+?", report["commit"])


def test_every_section_of_the_results_names_the_commits_of_its_figures() -> None:
    _, *sections = RESULTS.read_text(encoding="utf-8").split("\n## ")
    assert len(sections) > 10
    assert [s.partition("\n")[0] for s in sections if not re.search(r"`[0-9a-f]{7}`", s)] == []
