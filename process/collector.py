"""Where spans go, if anywhere. Nothing of OpenTelemetry's is loaded where no collector is named."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from process.spans import Spans
from schemas.settings import Settings, SettingsError

S = TypeVar("S", bound=Settings)
STANDARD = "OTEL_EXPORTER_OTLP_ENDPOINT"
_MISSING = (
    f"SEARCHLOOP_OTLP_ENDPOINT or {STANDARD} is set, and what sends spans is not installed: pip install "
    "'searchloop[telemetry]', or unset it"
)


def with_collector(settings: S, environ: Mapping[str, str]) -> S:
    """Return the settings, with the collector of OpenTelemetry's own variable where ours names none."""
    named = environ.get(STANDARD, "")
    return settings if settings.otlp_endpoint else settings.model_copy(update={"otlp_endpoint": named})


@contextmanager
def open_spans(settings: Settings, process: str) -> Iterator[Spans | None]:
    """Open where spans are told, for the length of the block; None where no collector is named.

    Raises ``SettingsError`` where the packages of the extra ``telemetry`` are missing.
    """
    if not settings.otlp_endpoint:
        yield None
        return
    try:
        from process.otlp import OtlpSpans  # noqa: PLC0415 (megabytes that most have no use for)
    except ModuleNotFoundError as error:
        raise SettingsError(_MISSING) from error
    spans = OtlpSpans(settings.otlp_endpoint, f"searchloop-{process}")
    try:
        yield spans
    finally:
        spans.close()
