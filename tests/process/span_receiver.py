"""A collector of spans: what it gets by OTLP over HTTP is kept."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest


class Received:
    """``spans`` in the order in which they came, each with its service; ``address`` is the collector's."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.address = ""

    def by_name(self) -> dict[str, Any]:
        return {span.name: span for _, span in self.spans}


@contextmanager
def span_receiver() -> Iterator[Received]:
    """Serve one. Skips the test where the extra ``telemetry`` is not installed."""
    proto: Any = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="it is not installed: make setup"
    )
    received = Received()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = (
                    a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
                )
                received.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        received.address = f"http://127.0.0.1:{server.server_address[1]}"
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield received
        finally:
            server.shutdown()
            serving.join()
