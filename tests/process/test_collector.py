"""Spans go where somebody has said, in the library's own form, and nowhere else."""

import subprocess
import sys

import pytest

from process.collector import open_spans, with_collector
from process.spans import SpanTold
from schemas.settings import Settings, SettingsError
from tests.process.span_receiver import span_receiver
from tests.processes import ROOT

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOW_NS = 1_800_000_000_000_000_000


def test_where_no_collector_is_named_nothing_of_the_sdk_is_loaded():
    """FastAPI loads the bare interface by itself."""
    code = "import api.running, sys; print(sorted(m for m in sys.modules if m.startswith('opentelemetry.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "opentelemetry.sdk" not in loaded
    assert "opentelemetry.exporter" not in loaded
    with open_spans(Settings(), "api") as spans:
        assert spans is None


def test_our_own_setting_goes_before_the_standard_one():
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert with_collector(Settings(), standard).otlp_endpoint == "http://127.0.0.1:1"
    own = Settings(otlp_endpoint="http://127.0.0.1:2")
    assert with_collector(own, standard).otlp_endpoint == "http://127.0.0.1:2"
    assert with_collector(Settings(), {}).otlp_endpoint == ""


def test_without_the_extra_the_operator_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "process.otlp", None)
    opening = open_spans(Settings(otlp_endpoint="http://127.0.0.1:1"), "api")
    with pytest.raises(SettingsError, match=r"searchloop\[telemetry\]"), opening:
        pass


def test_a_request_and_its_parts_are_one_trace_with_its_client():
    with span_receiver() as received:
        with open_spans(Settings(otlp_endpoint=received.address), "test") as spans:
            assert spans is not None
            span = spans.begin(PARENT)
            whole = SpanTold("search", NOW_NS, NOW_NS + 9_000_000, {"searchloop.status": "ok"})
            part = SpanTold("embed", NOW_NS + 1_000_000, NOW_NS + 3_000_000)
            spans.tell(span.traceparent, whole, [part])
            span.end("GET search", {"http.response.status_code": 500}, failed=True)
            spans.tell(None, whole, [])
        found = received.by_name()
        http, embed, alone = found["GET search"], found["embed"], found["search"]
        first = next(one for _, one in received.spans if one.name == "search")
    assert {service for service, _ in received.spans} == {"searchloop-test"}
    assert (http.trace_id.hex(), http.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert http.status.code == 2
    assert first.parent_span_id == http.span_id
    assert (embed.parent_span_id, embed.trace_id) == (first.span_id, http.trace_id)
    assert (embed.start_time_unix_nano, embed.end_time_unix_nano) == (part.begin_ns, part.end_ns)
    assert (alone.parent_span_id, alone.trace_id != http.trace_id) == (b"", True)
