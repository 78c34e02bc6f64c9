"""What the operator reads when a command fails: one sentence that says what to do, and the exit code.

Unknown faults stay tracebacks.
"""

import os

from msgspec import DecodeError
from pydantic import ValidationError

from broker.denials import missing_right
from broker.errors import AccessError, BrokerError, MissingTopicError
from commands.support.session import MISUSED, REFUSED
from embedded.errors import EmbeddedError
from schemas.rights import rights_of
from schemas.settings import Settings, SettingsError


def sentence(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence and the exit code of a failure, or None for one that is a defect of ours."""
    match error:
        case SettingsError():
            found = str(error), MISUSED
        case ValidationError():
            problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
            found = f"wrong value: {problems}", MISUSED
        case DecodeError():
            found = f"a stored fact cannot be read: {error}", REFUSED
        case MissingTopicError():
            found = f"{error}; `searchloop status` says whether it is still starting", REFUSED
        case AccessError():
            found = str(error), REFUSED
        case BrokerError():
            found = _refused(error), REFUSED
        case ModuleNotFoundError():
            found = (
                f"{error}: installed is less than searchloop[all], which every verb is content with",
                MISUSED,
            )
        case EmbeddedError() | TimeoutError():
            found = str(error) or "it took too long", REFUSED
        case EOFError() | OSError():
            found = str(error), MISUSED
        case _:
            return None
    return found


def _refused(error: BaseException) -> str:
    settings = Settings.load(os.environ)
    return missing_right(error, settings, rights_of("operators", settings)) or (
        f"Kafka was not reached, or refused: {error}; is `searchloop up` running on this data directory?"
    )
