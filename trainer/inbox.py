"""Read a record of ``training-triggers``: a request, or why it is refused. Pure."""

from datetime import datetime
from hashlib import blake2b

from pydantic import ValidationError

from broker.records import Record
from schemas.rejections import Problem, Reason, Rejection
from schemas.settings import TrainerSettings
from schemas.training import Trigger
from trainer.request import Request, TriggerError


def read_trigger(record: Record) -> Trigger | Rejection:
    """Return the trigger of a record, or the rejection that sends it to the dead letters."""
    try:
        return Trigger.from_json(record.value or b"")
    except ValidationError as error:
        problems = [
            Problem(loc=".".join(map(str, e["loc"])), type=e["type"], message=e["msg"])
            for e in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        broken = any(p.type == "json_invalid" for p in problems)
        return Rejection(reason=Reason.JSON_DECODE if broken else Reason.SCHEMA, problems=problems[:20])


def read_request(trigger: Trigger, settings: TrainerSettings, now: datetime) -> Request | Rejection:
    """Return the run that a trigger asks for. Its id sorts by time and is the trigger's own."""
    try:
        return Request.of(run_id_of(trigger, now), trigger, settings)
    except TriggerError as error:
        return Rejection(reason=Reason.SCHEMA, problems=[Problem(loc="params", type="not_allowed", message=str(error)[:500])])


def run_id_of(trigger: Trigger, now: datetime) -> str:
    """Return ``20260131-120000-1a2b3c4d``: the time it was taken, and a hash of the trigger's id."""
    return f"{now:%Y%m%d-%H%M%S}-{blake2b(trigger.trigger_id.encode(), digest_size=4).hexdigest()}"
