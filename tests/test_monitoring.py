"""The alert rules and the dashboard ask only for what the processes have."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring import (
    RULES_FILE,
    declared_metrics,
    faults_of,
    help_texts,
    panels,
    queries,
    read_query,
    rules,
)

DECLARED = declared_metrics()
RULES = rules()
PANELS = panels()
UNIT_TESTS = Path(__file__).parent / "prometheus-rules.test.yaml"
PROMTOOL = shutil.which("promtool")


def test_the_metrics_are_found_in_the_source() -> None:
    assert len(DECLARED) > 40
    assert DECLARED["searchloop_intake_records_total"] == {"topic", "outcome", "reason"}


def test_every_metric_explains_itself_in_a_sentence() -> None:
    texts = help_texts()
    assert [name for name, text in texts.items() if not re.fullmatch(r"[A-Z1].{10,}\.", text)] == []
    assert len(set(texts.values())) == len(texts)


@pytest.mark.parametrize(("source", "expression"), list(queries()), ids=lambda text: text[:40])
def test_a_query_names_only_metrics_and_labels_that_exist(source: str, expression: str) -> None:
    assert faults_of(read_query(expression), DECLARED) == [], source


@pytest.mark.parametrize(
    "expression",
    [
        "sum(searchloop_intake_records)",
        'searchloop_intake_records_total{result="refused"}',
        "sum by (kind) (rate(searchloop_intake_records_total[5m]))",
    ],
)
def test_a_query_that_names_something_else_is_caught(expression: str) -> None:
    assert len(faults_of(read_query(expression), DECLARED)) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_a_rule_says_how_bad_it_is_and_shows_only_labels_that_it_keeps(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = {label for labels, _ in read_query(rule["expr"]).grouped for label in labels}
    assert shown <= kept | {"instance"}


def test_the_things_that_must_be_seen_have_a_rule() -> None:
    ruled = {name for rule in RULES for name in read_query(rule["expr"]).metrics}
    assert {
        "searchloop_lag_records",
        "searchloop_intake_records_total",
        "searchloop_attribute_evictions_total",
        "searchloop_attribute_late_total",
        "searchloop_attribute_uncredited_total",
        "searchloop_fence_skips_total",
        "searchloop_gaps_total",
    } <= ruled


def test_every_metric_that_the_processes_count_is_on_the_dashboard_or_in_a_rule_or_named_here() -> None:
    asked = {name for _, expression in queries() for name in read_query(expression).metrics}
    of_histograms = {name for name in DECLARED if name.endswith(("_bucket", "_sum", "_count"))}
    details = {
        "searchloop_api_in_flight", "searchloop_api_records_total", "searchloop_api_responses_total",
        "searchloop_catalog_stale", "searchloop_catalog_unreadable", "searchloop_click_share",
        "searchloop_pictures_total",
        "searchloop_intake_unknown_lines_total", "searchloop_rules_refused_total",
        "searchloop_search_explored_total", "searchloop_search_refused_reply_topics_total",
        "searchloop_search_repeated_total", "searchloop_search_unanswerable_total",
        "searchloop_search_unwritable_total", "searchloop_searcher_onnx",
        "searchloop_purchase_to_answer_seconds", "searchloop_refresh_seconds",
        "searchloop_refreshed_at_seconds",
        "searchloop_searcher_rules",
    }  # fmt: skip
    assert DECLARED.keys() - of_histograms - asked == details


def test_panels_have_their_own_place_and_number() -> None:
    assert len({p["id"] for p in PANELS}) == len(PANELS)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in PANELS]
    for (x, y, w, h), (u, v, width, height) in itertools.combinations(places, 2):
        assert x + w <= u or u + width <= x or y + h <= v or v + height <= y
    assert all(x + w <= 24 for x, _, w, _ in places)


@pytest.mark.parametrize("panel", [p for p in PANELS if p["type"] != "row"], ids=lambda p: p["title"])
def test_a_legend_names_only_labels_that_its_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        kept = {
            label
            for labels, _ in read_query(target["expr"].replace("$__rate_interval", "5m")).grouped
            for label in labels
        }
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_every_alert_is_raised_in_the_unit_tests_of_the_rules() -> None:
    raised = {
        sample["labels"].split('"')[1]
        for group in yaml.safe_load(UNIT_TESTS.read_text())["tests"]
        for asked in group["promql_expr_test"]
        for sample in asked["exp_samples"]
    }
    assert raised == {rule["alert"] for rule in RULES}


@pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (on Debian and Ubuntu: apt install prometheus)"
)
@pytest.mark.parametrize(
    "command", [["check", "rules", str(RULES_FILE)], ["test", "rules", str(UNIT_TESTS)]], ids=lambda c: c[0]
)
def test_promtool_accepts_the_rules_and_raises_each_alert_where_it_should(command: list[str]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
