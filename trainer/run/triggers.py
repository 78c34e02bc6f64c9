"""Read a record of ``training-triggers``: a trigger, or why it is refused. Pure; each record is read once."""

import re
from datetime import datetime
from hashlib import blake2b

from pydantic import ValidationError

from broker.records import Record
from schemas.bounds import REQUEST_BYTES
from schemas.decoding import refuse, unreadable
from schemas.rejections import Problem, Reason, Rejection
from schemas.training import Trigger

# Every run is called so by ``run_id_of``; what is called otherwise is no run, and never becomes a part of a
# path.
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}", re.ASCII)


def read_trigger(record: Record) -> Trigger | Rejection:
    """Return the trigger of a record, or the rejection that sends it to the dead letters."""
    if len(record.value or b"") > REQUEST_BYTES:
        return refuse(Reason.TOO_LARGE, message=f"a trigger has at most {REQUEST_BYTES} bytes")
    try:
        trigger = Trigger.from_json(record.value or b"")
    except ValidationError as error:
        return unreadable(error)
    if trigger.cancels is not None and not is_run_id(trigger.cancels):
        return refusal(
            Reason.SCHEMA,
            "cancels",
            "run_id",
            "this is not the id of a run, such as 20260131-120000-1a2b3c4d",
        )
    return trigger


def refusal(reason: Reason, loc: str, kind: str, message: str) -> Rejection:
    """Return the rejection for one problem."""
    return Rejection(reason=reason, problems=[Problem(loc=loc, type=kind, message=message)])


def run_id_of(trigger: Trigger, now: datetime) -> str:
    """Return ``20260131-120000-1a2b3c4d``: the time it was taken, and a hash of the trigger's id."""
    return f"{now:%Y%m%d-%H%M%S}-{blake2b(trigger.trigger_id.encode(), digest_size=4).hexdigest()}"


def is_run_id(text: str) -> bool:
    """Say whether a run may be called so.

    >>> is_run_id("20260131-120000-1a2b3c4d")
    True
    >>> is_run_id("../runtime.json"), is_run_id("20260131-120000-1a2b3c4d/..")
    (False, False)
    """
    return _RUN_ID.fullmatch(text) is not None
