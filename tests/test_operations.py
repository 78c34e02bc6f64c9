"""The page for operators names only metrics, alerts and verbs that exist.

It says of each alert what to do.
"""

import re
from pathlib import Path

from typer.main import get_command

from cli import command_line
from tests.monitoring import NAME, declared_metrics, rules

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "operations.md").read_text()


def test_every_metric_on_the_page_exists() -> None:
    assert set(NAME.findall(PAGE)) - declared_metrics().keys() == set()


def test_every_alert_has_a_row_that_says_what_to_do() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `Searchloop")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row[1])) == sorted(
        rule["alert"] for rule in rules()
    )
    assert all(len(row) == 5 and row[2].strip() and row[3].strip() for row in rows)


def test_every_verb_on_the_page_exists() -> None:
    verbs = set(get_command(command_line([])[0]).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"^searchloop ([a-z]+)|`searchloop ([a-z]+)", PAGE, re.MULTILINE))
    assert {a or b for a, b in named} <= verbs
