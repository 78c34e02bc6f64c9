"""The page for operators names only metrics, labels and verbs that exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text()
PROCESSES = ("stream", "trainer", "indexer", "searcher", "process", "broker", "retrieval")
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}
NAME = re.compile(r"\bsearchloop_[a-z_]+")
SELECTOR = re.compile(r"\b(searchloop_[a-z_]+)\{([^}]*)\}")


def metrics() -> dict[str, frozenset[str]]:
    """Return every metric of the code as Prometheus shows it, with its labels; read from the source, nothing is imported."""
    found = {}
    for path in (p for package in PROCESSES for p in sorted((ROOT / package).rglob("*.py"))):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SUFFIXES and len(call.args) > 1:
                name = ast.literal_eval(call.args[0])
                labels = frozenset(ast.literal_eval(call.args[2])) if len(call.args) > 2 else frozenset()
                found |= {name + suffix: labels for suffix in SUFFIXES[call.func.id]}
    return found


METRICS = metrics()
RULES = [
    rule
    for block in re.findall(r"```yaml\n(groups:.*?)```", PAGE, re.DOTALL)
    for g in yaml.safe_load(block)["groups"]
    for rule in g["rules"]
]


def test_every_metric_on_the_page_exists() -> None:
    assert {name for name in NAME.findall(PAGE) if name not in METRICS} == set()
    assert len(METRICS) > 25


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_a_rule_is_whole_and_its_labels_exist(rule: dict) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "annotations"}
    assert rule["annotations"]["summary"]
    assert rule["expr"].count("(") == rule["expr"].count(")")
    named = set(NAME.findall(rule["expr"]))
    assert named or rule["expr"].startswith("up{")
    for name, selector in SELECTOR.findall(rule["expr"]):
        assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= METRICS[name]
    labels = frozenset().union(*(METRICS[n] for n in named)) | {"instance", "job", "le"}
    asked = {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert asked | shown <= labels
    assert shown <= asked | {"instance"}


def test_the_things_that_must_be_seen_have_a_metric_and_a_rule() -> None:
    ruled = {name for rule in RULES for name in NAME.findall(rule["expr"])}
    assert {
        "searchloop_lag_records",
        "searchloop_intake_records_total",
        "searchloop_attribute_evictions_total",
        "searchloop_attribute_late_total",
        "searchloop_attribute_uncredited_total",
        "searchloop_fence_skips_total",
        "searchloop_gaps_total",
    } <= ruled


def test_every_verb_on_the_page_exists() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"^searchloop ([a-z]+)|`searchloop ([a-z]+)", PAGE, re.MULTILINE))
    assert {a or b for a, b in named} <= verbs
