"""The last guard around one record: what nobody foresaw of it becomes a rejection, and the process goes on.

It stands around the narrow guards, not in their place, and around decisions only: a fault of Kafka, Milvus or
the disk must still end the process.
"""

from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

import structlog

from broker.records import Record
from schemas.rejections import Problem, Reason, Rejection

T = TypeVar("T")
log = structlog.get_logger(__name__)


def judged(decide: Callable[[Record], T], record: Record) -> T | Rejection:
    """Return what ``decide``, a function without effects, says of the record.

    Whatever it raises is a ``processing_error``.
    """
    try:
        return decide(record)
    except Exception as error:  # a record that nobody foresaw must not stop a process
        rejection = unforeseen(error)
        log.error(  # noqa: TRY400 (a traceback may show values of the record)
            "a record was refused for a fault of ours",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            problem=rejection.problems[0].message,
        )
        return rejection


def unforeseen(error: Exception) -> Rejection:
    """Return the rejection for an exception that a record caused.

    Its type and its place in the code, never a value of the record.
    """
    frames = extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    kind = type(error).__name__
    return Rejection(
        reason=Reason.PROCESSING_ERROR, problems=[Problem(loc="", type=kind, message=f"{kind} in {place}")]
    )
