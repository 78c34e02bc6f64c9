"""Take deployment commands in, one after the other; each is committed when its effect is durable.

The group's one partition is also the lock: who holds it is the indexer, and who loses it stops.
"""

import structlog
from pydantic import ValidationError

from broker.consuming import GroupConsumer
from broker.dead_letters import cut, dead_letter
from broker.guarding import judged
from broker.producing import Producer
from broker.records import Record
from broker.signing import Signing
from indexer.deployer import Deployer
from indexer.metrics import COMMANDS
from schemas.bounds import NAME_CHARS, REQUEST_BYTES
from schemas.decoding import refuse, unreadable
from schemas.rejections import Reason, Rejection
from schemas.releases import DeploymentCommand

log = structlog.get_logger(__name__)

UNSIGNED = "the command is not signed by our key: its sender needs the same SEARCHLOOP_SIGNING_KEY_FILE"


class TakenOverError(RuntimeError):
    """Another indexer of the deployment holds the commands now."""


async def handle_commands(
    commands: GroupConsumer,
    producer: Producer,
    deployer: Deployer,
    deployment: str,
    signing: Signing | None = None,
) -> None:
    """Carry out commands of this deployment, for ever. What cannot be read goes to the dead letters.

    ``signing``: whose signature a command must carry; None: none.
    """
    while True:
        if not commands.assigned():
            raise TakenOverError("another indexer took over the deployment commands: only one may run")
        for record in await commands.batch(timeout_ms=200, max_records=20):
            command = judged(parse, record)
            if isinstance(command, Rejection):
                log.warning("command refused", reason=command.reason.value, offset=record.offset)
                COMMANDS.labels("unreadable", "dead_letter").inc()
                await producer.send(dead_letter(record, command, stage="indexer"), instead=cut)
            elif command.deployment == deployment:
                why = None if signing is None or signing.holds(record) else UNSIGNED
                await deployer.carry_out(
                    command.model_copy(update={"actor": claimed(command.actor)}), objection=why
                )
            await commands.commit([record])


def claimed(actor: str) -> str:
    """Return how a command's sender is named: by what it says of itself, and that nobody has checked it.

    Kafka does not tell a reader who has written a record.

    >>> claimed("guard")
    'guard (claimed)'
    """
    mark = " (claimed)"
    return actor[: NAME_CHARS - len(mark)] + mark


def parse(record: Record) -> DeploymentCommand | Rejection:
    """Return the command of a record, or why it cannot be read.

    What is accepted stands again, whole and twice, in the records of its generation, so it must be small and
    able to be written.
    """
    if len(record.value or b"") > REQUEST_BYTES:
        return refuse(Reason.TOO_LARGE, message=f"a command has at most {REQUEST_BYTES} bytes")
    try:
        command = DeploymentCommand.from_json(record.value or b"")
        command.to_json()
    except ValidationError as error:
        return unreadable(error)
    return command
