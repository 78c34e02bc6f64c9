"""What monitoring says and what the code declares.

Metrics of the source, alert rules, panels, and the queries of both.
"""

import ast
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES_FILE = ROOT / "deploy" / "prometheus-rules.yaml"
DASHBOARD_FILE = ROOT / "deploy" / "grafana-dashboard.json"
NAME = re.compile(r"\bsearchloop_[a-z_]+")

_PROCESSES = ("stream", "trainer", "indexer", "searcher", "api", "process", "broker", "retrieval")
_SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}
_OF_PROMETHEUS = {"up": frozenset[str]()}
TARGET_LABELS = frozenset({"instance", "job", "tenant"})


class Query(NamedTuple):
    """What a PromQL expression reads.

    (metric, label) of its selectors, and for each aggregation its labels and its metrics.
    """

    metrics: frozenset[str]
    matched: frozenset[tuple[str, str]]
    grouped: tuple[tuple[frozenset[str], frozenset[str]], ...]


def _declarations() -> Iterator[tuple[str, tuple[str, str, frozenset[str]]]]:
    """Yield the kind of every metric of the code, and its name, help and labels.

    Read from the source, nothing is imported.
    """
    for path in (p for package in _PROCESSES for p in sorted((ROOT / package).rglob("*.py"))):
        for call in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in _SUFFIXES
                and len(call.args) > 1
            ):
                name, text, *labels = (ast.literal_eval(argument) for argument in call.args[:3])
                yield call.func.id, (name, text, frozenset(labels[0]) if labels else frozenset())


def declared_metrics() -> dict[str, frozenset[str]]:
    """Return every metric of the code as Prometheus shows it, with its labels."""
    return {
        name + suffix: labels for kind, (name, _, labels) in _declarations() for suffix in _SUFFIXES[kind]
    }


def help_texts() -> dict[str, str]:
    """Return what each metric says of itself on ``/metrics``."""
    return {name: text for _, (name, text, _) in _declarations()}


def shown_metrics(data_dir: Path) -> set[str]:
    """Return the metrics that the running processes of this data directory show on their pages."""
    found: set[str] = set()
    for announced in sorted((data_dir / "run").glob("*.json")):
        port = json.loads(announced.read_text())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as page:
            typed = re.findall(r"^# TYPE (\S+) (\w+)$", page.read().decode(), re.MULTILINE)
        found |= {
            name + suffix
            for name, kind in typed
            for suffix in (_SUFFIXES["Histogram"] if kind == "histogram" else ("",))
        }
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD_FILE.read_text())["panels"])


def queries() -> Iterator[tuple[str, str]]:
    """Yield what asks (an alert, a panel) and its expression, with Grafana's interval filled in."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def read_query(expression: str) -> Query:
    """Parse it; raises ValueError where it is not PromQL."""
    selectors = list(_selectors(promql_parser.parse(expression)))
    grouped: list[tuple[frozenset[str], frozenset[str]]] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.append(
                (frozenset(node.modifier.labels), frozenset(str(s.name) for s in _selectors(node.expr)))
            )

    promql_parser.walk(promql_parser.parse(expression), visit)
    matched = frozenset((str(s.name), m.name) for s in selectors for m in s.matchers.matchers)
    return Query(frozenset(str(s.name) for s in selectors), matched, tuple(grouped))


def faults_of(query: Query, declared: dict[str, frozenset[str]]) -> list[str]:
    """Say what it names that no process has: a metric, a label of a selector, a label to group by."""
    known = declared | _OF_PROMETHEUS
    if missing := query.metrics - known.keys():
        return [f"no process has the metric {name}" for name in sorted(missing)]
    allowed = {
        name: labels | TARGET_LABELS | ({"le"} if name.endswith("_bucket") else set())
        for name, labels in known.items()
    }
    faults = [
        f"{name} has no label {label}" for name, label in sorted(query.matched) if label not in allowed[name]
    ]
    return faults + [
        f"{name} has no label {label} to group by"
        for labels, names in query.grouped
        for name in sorted(names)
        for label in sorted(labels - allowed[name])
    ]


def _selectors(expression: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(expression, visit)
    return found
