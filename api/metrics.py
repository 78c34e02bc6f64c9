"""Prometheus metrics of the API."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RESPONSES = Counter(
    "searchloop_api_responses", "HTTP responses, by route and status code.", ["route", "code"]
)
SECONDS = Histogram(
    "searchloop_api_seconds",
    "From the first byte of a request to the last byte of its response.",
    ["route"],
    buckets=_SECONDS,
)
IN_FLIGHT = Gauge("searchloop_api_in_flight", "HTTP requests that are worked on.")
RECORDS = Counter(
    "searchloop_api_records", "Records posted for writing, by what became of them.", ["outcome", "reason"]
)
