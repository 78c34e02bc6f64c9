"""Logging: one line per fact, through structlog, for our own code and for the libraries alike."""

import logging
import sys
from typing import Any

import structlog

from schemas.hidden import redacted

_QUIET = (
    "faust",
    "mode",
    "aiokafka",
    "pymilvus",
    "milvus_lite",
    "sentence_transformers",
    "transformers",
    "urllib3",
    "httpx",
    "filelock",
    "fsspec",
    "apscheduler",
    "asyncio",
    "torch",
    "grpc",
    "uvicorn",
)
_QUIET_S = 10.0
# What aiokafka calls errors and asks again by itself: topics and groups that were made a moment ago, or that
# another broker leads by now.
_ASKED_AGAIN = ("NotLeaderForPartitionError", "GroupCoordinatorNotAvailableError", "LeaderNotAvailableError")


class _Repeats(logging.Filter):
    """Lets a library say the same at most once in ten seconds: a broker that is away is news once.

    What aiokafka asks again by itself is a warning.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is shown."""
        if not record.name.startswith(_QUIET):
            return True
        if record.name.startswith("aiokafka") and any(name in record.getMessage() for name in _ASKED_AGAIN):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        said = (record.name, str(record.msg)[:60])
        fresh = record.created - self._said.get(said, float("-inf")) >= _QUIET_S
        if fresh:
            self._said[said] = record.created
        return fresh


def _without_secrets(_: object, __: str, line: Any) -> str:
    """Take out of a rendered line what no log may hold, whoever wrote it."""
    return redacted(str(line))


def configure_logs(level: str, *, json_lines: bool = False) -> None:
    """Send everything to stderr.

    Libraries speak from WARNING on: Faust otherwise runs the root logger at DEBUG.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
                _without_secrets,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
